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
from tuneoff.report.escape import visible
from tuneoff.report.format import (
    bytes_in_words,
    rate_in_words,
    seconds_in_words,
    share_in_words,
)
from tuneoff.runner.watch import Tallies, Watch
from tuneoff.runtime.progress import Progress, Tell, tell_nobody

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def following() -> Iterator[Watch]:
    """Progress that redraws itself on a terminal, and plain lines elsewhere."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield _Lines()
        return
    screen = _Screen(console)
    with Live(get_renderable=screen.render, console=console, refresh_per_second=4, transient=True):
        yield screen


class _Lines:
    """One line for each thing that ended, on standard error: what a log wants."""

    def probing(self, label: str) -> Tell:
        _say(f"{label}: probed")
        return tell_nobody

    def says(self, text: str) -> None:
        _say(text)

    def begin(self, tallies: Tallies) -> None:
        _say(_counted(tallies))

    def trial(self, trial: Trial) -> Tell:
        name = _named(trial)
        _say(f"{name}: begins")
        heard: dict[str, int] = {}

        def tell(progress: Progress) -> None:
            tenth = 10 * progress.done // progress.of if progress.of else 0
            key = f"{progress.phase} {progress.epoch}"
            if heard.get(key) != tenth:
                heard[key] = tenth
                _say(f"{name}: {_moment(progress)}")

        return tell

    def end(self, record: Record, tallies: Tallies) -> None:
        _say(f"{_ended(record)} ({_counted(tallies)})")


class _Screen:
    """How far each stage is, the running trial's place, loss, speed and memory, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tallies: Tallies = {}
        self._before = 0.0  # work that was done before this process began
        self._running: Trial | None = None
        self._probed = ""  # a method's label
        self._moment = Progress(phase="loading")
        self._start = time.monotonic()

    def probing(self, label: str) -> Tell:
        self._probed = label
        return self._hear

    def says(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def begin(self, tallies: Tallies) -> None:
        self._probed = ""
        self._tallies, self._before = tallies, _work(tallies)[0]
        self._start = time.monotonic()

    def trial(self, trial: Trial) -> Tell:
        self._running = trial
        return self._hear

    def end(self, record: Record, tallies: Tallies) -> None:
        self._running, self._tallies = None, tallies
        self._console.print(_ended(record), markup=False, highlight=False)

    def _hear(self, progress: Progress) -> None:
        self._moment = progress

    def render(self) -> Group | Text:
        """What stands on the screen now."""
        if self._probed:
            return Text(f"probing {visible(self._probed)}: {_moment(self._moment)}")
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
            Text(_named(self._running), style="bold"),
            ProgressBar(total=max(moment.of, 1), completed=moment.done, width=30),
            Text(f"{_moment(moment)} · {bytes_in_words(_resident_bytes())} resident"),
        )
        spent = seconds_in_words(time.monotonic() - self._start)
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
        done, whole = _work(self._tallies)
        done += self._share()
        spent = time.monotonic() - self._start
        if done - self._before < 0.5 or spent < 20:
            return ""
        return f" · about {seconds_in_words(spent / (done - self._before) * (whole - done))} left"


def _work(tallies: Tallies) -> tuple[float, float]:
    """Trials done and in all; of a confirmed trial training is one part and its test the other."""
    weights = {"search": 1.0, "confirm": 0.5, "test": 0.5}
    counts = [(weights[stage] * tally.done, weights[stage] * tally.of) for stage, tally in tallies.items()]
    return sum(done for done, _ in counts), sum(of for _, of in counts)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _counted(tallies: Tallies) -> str:
    return ", ".join(f"{stage} {tally.done} of {tally.of}" for stage, tally in tallies.items())


def _named(trial: Trial) -> str:
    if trial.stage == "confirm":
        return f"{trial.label}, seed {trial.seed}"
    rate = rate_in_words(trial.hyperparameters["learning_rate"])
    return f"{trial.label}, rate {rate}, to {share_in_words(trial.rungs[-1])}"


def _moment(progress: Progress) -> str:
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


def _ended(record: Record) -> str:
    name, scores = _named(record.trial), record.scores
    if record.status != "done":
        return f"✗ {name}: {record.status}, {_printable(record.reason or '')}"
    if record.trial.stage == "search":
        metric = record.trial.choose_by
        score = record.scores[f"validation/{metric}"]
        said = f"loss {score:.3f}" if metric == "loss" else f"{metric} {100 * score:.1f}"
        return f"✓ {name}: validation {said}"
    trained = f", {seconds_in_words(record.costs.train_seconds)} of training" if record.costs else ""
    return f"✓ {name}: ROUGE-L {100 * scores['test/rougeL']:.1f}, loss {scores['test/loss']:.3f}{trained}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
