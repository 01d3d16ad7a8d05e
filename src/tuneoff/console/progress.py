"""The progress of a comparison in a terminal, a notebook or a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuneoff.metrics import LOSS, METRICS
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_bytes, format_rate, format_seconds, format_share
from tuneoff.runner.listener import Listener, Tallies, Tally
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress

TRAINING_SHARE = 0.8  # of the time of a trial, for the time left
STAGE_WEIGHTS = {"search": 1.0, "confirm": 0.5, "test": 0.5}  # a confirmed trial counts half when it is trained
MOST_SHOWN = 16  # running trials
LOADING = Progress(phase="loading")
MIN_WORK, MIN_SECONDS = 0.5, 20  # trials and time that an estimate of the time left needs


@contextlib.contextmanager
def show_progress() -> Iterator[Listener]:
    """Show progress for the time of the block: a live display in a terminal or notebook, lines elsewhere."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield LogListener()
        return
    screen = ScreenListener(console)
    with Live(get_renderable=screen.render, console=console, refresh_per_second=4, transient=True):
        yield screen


class LogListener:
    """Prints a line on standard error for each event, and for every tenth of a training epoch or evaluation."""

    def on_probe(self, label: str) -> OnProgress:
        print_line(f"{label}: probing")
        return ignore_progress

    def on_message(self, text: str) -> None:
        print_line(text)

    def on_start(self, tallies: Tallies) -> None:
        print_line(_format_tallies(tallies))

    def on_trial_start(self, trial: Trial) -> OnProgress:
        name = _format_trial(trial)
        print_line(f"{name}: started")
        printed: dict[str, int] = {}  # the last tenth, by phase and epoch

        def on_progress(progress: Progress) -> None:
            tenth = 10 * progress.done // progress.of if progress.of else 0
            phase = f"{progress.phase} {progress.epoch}"
            if printed.get(phase) != tenth:
                printed[phase] = tenth
                print_line(f"{name}: {_format_progress(progress)}")

        return on_progress

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        so_far = f" ({_format_tallies(tallies)})" if tallies else ""  # a worker does not know them
        print_line(f"{_format_record(record)}{so_far}")


class ScreenListener:
    """Renders the stages, the running trials with their loss and speed, the time left, and the memory in use."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tallies: Tallies = {}
        self._initial_work = 0.0  # done by earlier processes
        self._running: dict[str, tuple[Trial, Progress]] = {}  # by trial id
        self._probed = ""  # the label of the method that is probed
        self._probe_progress = LOADING
        self._start = time.monotonic()

    def on_probe(self, label: str) -> OnProgress:
        self._probed = label
        return self._set_probe_progress

    def on_message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def on_start(self, tallies: Tallies) -> None:
        self._probed = ""
        self._tallies, self._initial_work = tallies, _count_work(tallies)[0]
        self._start = time.monotonic()

    def on_trial_start(self, trial: Trial) -> OnProgress:
        self._running[trial.id] = trial, LOADING

        def on_progress(progress: Progress) -> None:
            self._running[trial.id] = trial, progress

        return on_progress

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self._running.pop(record.trial.id, None)
        self._tallies = tallies
        self._console.print(_format_record(record), markup=False, highlight=False)

    def _set_probe_progress(self, progress: Progress) -> None:
        self._probe_progress = progress

    def render(self) -> Group | Text:
        """Return what the screen shows now."""
        if self._probed:
            return Text(f"probing {escape_control(self._probed)}: {_format_progress(self._probe_progress)}")
        running = list(self._running.values())  # another thread adds and removes
        if not running:
            return Text("writing the report ..." if self._tallies else "preparing the data and the model ...")
        grid = Table.grid(padding=(0, 1))
        for stage, tally in self._tallies.items():
            bar = ProgressBar(total=tally.of, completed=tally.done, width=30)
            grid.add_row(Text(stage), bar, Text(_format_tally(tally)))
        for trial, progress in running[:MOST_SHOWN]:
            grid.add_row(
                Text(_format_trial(trial), style="bold"),
                ProgressBar(total=max(progress.of, 1), completed=progress.done, width=30),
                Text(_format_progress(progress)),
            )
        if len(running) > MOST_SHOWN:
            grid.add_row(Text(f"and {len(running) - MOST_SHOWN} more"))
        elapsed = format_seconds(time.monotonic() - self._start)
        memory = f"{format_bytes(_get_resident_bytes())} of memory"
        return Group(grid, Text(f"{elapsed}{self._format_time_left()} · {memory}", style="dim"))

    @staticmethod
    def _estimate_trial_share(progress: Progress) -> float:
        """Estimate the share of a running trial that is done."""
        phase_share = progress.done / progress.of if progress.of else 0.0
        if progress.phase in {"evaluation", "predictions", "benchmarks", "inference"}:
            return TRAINING_SHARE + (1 - TRAINING_SHARE) * phase_share * (progress.phase == "predictions")
        if not progress.epochs:
            return 0.0
        return TRAINING_SHARE * (progress.epoch - 1 + phase_share) / progress.epochs

    def _format_time_left(self) -> str:
        done, total = _count_work(self._tallies)
        done += sum(self._estimate_trial_share(progress) for _, progress in list(self._running.values()))
        elapsed, new_work = time.monotonic() - self._start, done - self._initial_work
        if new_work < MIN_WORK or elapsed < MIN_SECONDS:
            return ""
        at_most = "at most" if any(tally.is_most for tally in self._tallies.values()) else "about"
        return f" · {at_most} {format_seconds(elapsed / new_work * (total - done))} left"


def print_line(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)


def replace_unprintable(text: str) -> str:
    """Return the text with a space for each character that cannot be printed, such as an escape."""
    return "".join(c if c.isprintable() else " " for c in text)


def _count_work(tallies: Tallies) -> tuple[float, float]:
    """Return the number of trials done and in total. Training and testing a confirmed trial count half each."""
    done = sum(STAGE_WEIGHTS[stage] * tally.done for stage, tally in tallies.items())
    return done, sum(STAGE_WEIGHTS[stage] * tally.of for stage, tally in tallies.items())


def _format_tallies(tallies: Tallies) -> str:
    return ", ".join(f"{stage} {_format_tally(tally)}" for stage, tally in tallies.items())


def _format_tally(tally: Tally) -> str:
    return f"{tally.done} of {'at most ' if tally.is_most else ''}{tally.of}"


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
        return f"✗ {name}: {record.status}, {replace_unprintable(record.reason or '')}"
    if record.trial.stage == "search":
        metric = record.trial.choose_by
        return f"✓ {name}: validation {metric} {_format_score(metric, scores[f'validation/{metric}'])}"
    trained = f", {format_seconds(record.costs.train_seconds)} of training" if record.costs else ""
    first = next(key.removeprefix("test/") for key in scores if key.startswith("test/"))  # the primary metric
    title = METRICS[first].title if first in METRICS else first
    quality = f"{title} {_format_score(first, scores[f'test/{first}'])}, " if first != LOSS.name else ""
    return f"✓ {name}: {quality}loss {_format_score(LOSS.name, scores['test/loss'])}{trained}"


def _format_score(name: str, score: float) -> str:
    """Format a recorded score in the unit of its metric; one of the user's own as it is."""
    metric = METRICS.get(name)
    return f"{metric.scale * score:.{metric.decimals}f}" if metric else f"{score:.3f}"


def _get_resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
