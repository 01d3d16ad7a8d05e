"""What a person sees in the terminal: progress while a comparison runs, and tables when it is done.

Text from data, models and errors is shown with `markup=False` and without control characters, so that no prediction
can move the cursor or colour the screen.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuneoff.progress import Progress, Tell, Watch
from tuneoff.report.words import bytes_in_words, count_in_words, seconds_in_words, share_in_words, verdict
from tuneoff.trial import Record, Trial

if TYPE_CHECKING:
    from tuneoff.comparison import Comparison
    from tuneoff.verbs import PlannedTrial, Trains


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

    def begin(self, trials: Sequence[Trial], missing: int) -> None:
        _say(_begin(trials, missing))

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

    def end(self, record: Record) -> None:
        _say(_ended(record))


class _Screen:
    """Trials done, the running one's place, loss, speed and memory, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._trials = self._missing = self._done = 0
        self._running: Trial | None = None
        self._moment = Progress(phase="loading")
        self._start = self._trial_start = time.monotonic()

    def begin(self, trials: Sequence[Trial], missing: int) -> None:
        self._trials, self._missing = len(trials), missing
        self._start = time.monotonic()
        self._console.print(_begin(trials, missing), markup=False, highlight=False)

    def trial(self, trial: Trial) -> Tell:
        self._running, self._trial_start = trial, time.monotonic()
        return self._hear

    def end(self, record: Record) -> None:
        self._done += 1
        self._running = None
        self._console.print(_ended(record), markup=False, highlight=False)

    def _hear(self, progress: Progress) -> None:
        self._moment = progress

    def render(self) -> Group | Text:
        """What stands on the screen now."""
        if self._running is None:
            return Text("reading the text and the model's shape ..." if not self._trials else "writing the report ...")
        moment = self._moment
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            Text(f"trial {self._done + 1} of {self._missing}"),
            ProgressBar(total=max(self._missing, 1), completed=self._done + self._share(), width=30),
            Text(f"{seconds_in_words(time.monotonic() - self._start)}{self._left()}"),
        )
        grid.add_row(
            Text(_named(self._running), style="bold"),
            ProgressBar(total=max(moment.of, 1), completed=moment.done, width=30),
            Text(f"{_moment(moment)} · {bytes_in_words(_resident_bytes())} resident"),
        )
        return Group(grid)

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
        done = self._done + self._share()
        spent = time.monotonic() - self._start
        if done < 0.5 or spent < 20:
            return ""
        return f" · about {seconds_in_words(spent / done * (self._missing - done))} left"


def print_outcome(comparison: Comparison, directory: Path) -> None:
    """The verdict, the leaderboard and where the page is."""
    from tuneoff.report.tables import leaderboard

    console = Console()
    header, *rows = leaderboard(comparison)
    table = _table(*header)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for sentence in verdict(comparison):
        console.print(sentence, markup=False, highlight=False)
    console.print(f"\nPage: {(directory / 'report' / 'index.html').resolve()}", markup=False, soft_wrap=True)


def print_plan(trials: Sequence[PlannedTrial]) -> None:
    """The trials and their work, one line each."""
    table = _table("trial", "id", "seed", "rate", "trains", "share", "steps", "tokens", "scored")
    for planned in trials:
        work = planned.workload
        table.add_row(
            Text(planned.trial.label),
            planned.trial.id,
            str(planned.trial.seed),
            f"{planned.trial.hyperparameters['learning_rate']:g}" if work else "",
            count_in_words(planned.trainable),
            share_in_words(planned.trainable / planned.total),
            *([f"{work.steps:,}", f"{work.trained_tokens:,}", f"{work.scored_tokens:,}"] if work else ["", "", ""]),
        )
    Console().print(table)
    Console().print("Steps and tokens are those of a training that no patience ends early.", style="dim")


def print_methods(trains: Sequence[Trains]) -> None:
    """What each method trains, module by module; `*` stands for a layer's number."""
    console = Console(highlight=False)
    for method in trains:
        share = share_in_words(method.trainable / method.total)
        console.print(f"{method.label}: {count_in_words(method.trainable)} of {count_in_words(method.total)} ({share})",
                      style="bold", markup=False)  # fmt: skip
        knobs = ", ".join(f"{name}={value}" for name, value in method.method.model_dump(mode="json").items())
        console.print(f"  {knobs if method.trainable else 'trains nothing'}", style="dim", markup=False, soft_wrap=True)
        grid = Table.grid(padding=(0, 2))
        for justify in ("left", "left", "right", "right"):
            grid.add_column(justify=justify)
        for group in method.groups:
            grid.add_row(
                "", Text(group.name), f"{group.tensors} ×" if group.tensors > 1 else "", f"{group.parameters:,}"
            )
        console.print(grid)


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column(first, no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def print_recipes(recipes: Mapping[str, str]) -> None:
    """The shipped recipes with the first line of each."""
    grid = Table.grid(padding=(0, 2))
    for name, text in recipes.items():
        first, *_ = text.splitlines()
        grid.add_row(Text(name, style="bold"), Text(first.lstrip("# ")))
    Console().print(grid)
    Console().print("To change one: tuneoff recipes NAME mine.yaml", style="dim", highlight=False)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _begin(trials: Sequence[Trial], missing: int) -> str:
    kept = len(trials) - missing
    return f"{len(trials)} trials" + (f", {kept} of them with a record already" if kept else "")


def _named(trial: Trial) -> str:
    return f"{trial.label}, seed {trial.seed}"


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
    trained = f", {seconds_in_words(record.costs.train_seconds)} of training" if record.costs else ""
    return f"✓ {name}: ROUGE-L {100 * scores['test/rougeL']:.1f}, loss {scores['test/loss']:.3f}{trained}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
