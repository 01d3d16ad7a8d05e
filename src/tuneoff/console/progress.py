"""Progress of a comparison, in the terminal, a notebook or a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.report.escape import escape_control
from tuneoff.report.format import (
    format_bytes,
    format_rate,
    format_seconds,
    format_share,
)
from tuneoff.runner.listener import Listener, Tallies
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def show_progress() -> Iterator[Listener]:
    """Progress that redraws itself on a terminal, and plain lines elsewhere."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield LogListener()
        return
    screen = ScreenListener(console)
    with Live(get_renderable=screen.render, console=console, refresh_per_second=4, transient=True):
        yield screen


class LogListener:
    """One line for each thing that ended, on standard error: what a log wants."""

    def on_probe(self, label: str) -> OnProgress:
        _print_line(f"{label}: probed")
        return ignore_progress

    def on_message(self, text: str) -> None:
        _print_line(text)

    def on_start(self, tallies: Tallies) -> None:
        _print_line(_format_tallies(tallies))

    def on_trial_start(self, trial: Trial) -> OnProgress:
        name = _format_trial(trial)
        _print_line(f"{name}: begins")
        heard: dict[str, int] = {}

        def on_progress(progress: Progress) -> None:
            tenth = 10 * progress.done // progress.of if progress.of else 0
            key = f"{progress.phase} {progress.epoch}"
            if heard.get(key) != tenth:
                heard[key] = tenth
                _print_line(f"{name}: {_format_progress(progress)}")

        return on_progress

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        _print_line(f"{_format_record(record)} ({_format_tallies(tallies)})")


class ScreenListener:
    """How far each stage is, the running trial's place, loss, speed and memory, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tallies: Tallies = {}
        self._before = 0.0  # work that was done before this process began
        self._running: Trial | None = None
        self._probed = ""  # a method's label
        self._moment = Progress(phase="loading")
        self._start = time.monotonic()

    def on_probe(self, label: str) -> OnProgress:
        self._probed = label
        return self._hear

    def on_message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def on_start(self, tallies: Tallies) -> None:
        self._probed = ""
        self._tallies, self._before = tallies, _count_work(tallies)[0]
        self._start = time.monotonic()

    def on_trial_start(self, trial: Trial) -> OnProgress:
        self._running = trial
        return self._hear

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self._running, self._tallies = None, tallies
        self._console.print(_format_record(record), markup=False, highlight=False)

    def _hear(self, progress: Progress) -> None:
        self._moment = progress

    def render(self) -> Group | Text:
        """What stands on the screen now."""
        if self._probed:
            return Text(f"probing {escape_control(self._probed)}: {_format_progress(self._moment)}")
        if self._running is None:
            return Text("reading the text and the model's shape ..." if not self._tallies else "writing the report ...")
        moment = self._moment
        grid = Table.grid(padding=(0, 1))
        for stage, tally in self._tallies.items():
            grid.add_row(
                Text(stage),
                ProgressBar(total=tally.of, completed=tally.done, width=30),
                Text(f"{tally.done} of {tally.of}"),
            )
        grid.add_row(
            Text(_format_trial(self._running), style="bold"),
            ProgressBar(total=max(moment.of, 1), completed=moment.done, width=30),
            Text(f"{_format_progress(moment)} · {format_bytes(_get_resident_bytes())} resident"),
        )
        spent = format_seconds(time.monotonic() - self._start)
        return Group(grid, Text(f"{spent}{self._left()}", style="dim"))

    def _share(self) -> float:
        """How much of the running trial is done; its training is taken for four fifths of it."""
        moment = self._moment
        within = moment.done / moment.of if moment.of else 0.0
        if moment.phase in {"evaluation", "predictions", "inference"}:
            return 0.8 + 0.2 * within * (moment.phase == "predictions")
        if not moment.epochs:
            return 0.0
        return 0.8 * (moment.epoch - 1 + within) / moment.epochs

    def _left(self) -> str:
        done, whole = _count_work(self._tallies)
        done += self._share()
        spent = time.monotonic() - self._start
        if done - self._before < 0.5 or spent < 20:
            return ""
        return f" · about {format_seconds(spent / (done - self._before) * (whole - done))} left"


def _count_work(tallies: Tallies) -> tuple[float, float]:
    """Trials done and in all; of a confirmed trial training is one part and its test the other."""
    weights = {"search": 1.0, "confirm": 0.5, "test": 0.5}
    counts = [(weights[stage] * tally.done, weights[stage] * tally.of) for stage, tally in tallies.items()]
    return sum(done for done, _ in counts), sum(of for _, of in counts)


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _format_tallies(tallies: Tallies) -> str:
    return ", ".join(f"{stage} {tally.done} of {tally.of}" for stage, tally in tallies.items())


def _format_trial(trial: Trial) -> str:
    if trial.stage == "confirm":
        return f"{trial.label}, seed {trial.seed}"
    rate = format_rate(trial.hyperparameters["learning_rate"])
    return f"{trial.label}, rate {rate}, to {format_share(trial.rungs[-1])}"


def _format_progress(progress: Progress) -> str:
    parts = [progress.phase]
    if progress.epochs:
        parts = [f"epoch {progress.epoch} of {progress.epochs}"]
    if progress.of:
        parts[0] += f", {progress.done} of {progress.of}"
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    return " · ".join(parts)


def _format_record(record: Record) -> str:
    name, scores = _format_trial(record.trial), record.scores
    if record.status != "done":
        return f"✗ {name}: {record.status}, {replace_control(record.reason or '')}"
    if record.trial.stage == "search":
        metric = record.trial.choose_by
        score = record.scores[f"validation/{metric}"]
        said = f"loss {score:.3f}" if metric == "loss" else f"{metric} {100 * score:.1f}"
        return f"✓ {name}: validation {said}"
    trained = f", {format_seconds(record.costs.train_seconds)} of training" if record.costs else ""
    return f"✓ {name}: ROUGE-L {100 * scores['test/rougeL']:.1f}, loss {scores['test/loss']:.3f}{trained}"


def replace_control(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _get_resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
