"""What a person sees in the terminal: progress while a comparison runs, and tables when it is done.

Text from data, models and errors is shown with `markup=False` and without control characters, so that no prediction
can move the cursor or colour the screen.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuneoff.records.trial import Record, Trial
from tuneoff.report.escape import visible
from tuneoff.report.sentences import (
    bytes_in_words,
    count_in_words,
    level_in_words,
    rate_in_words,
    seconds_in_words,
    share_in_words,
    verdict,
)
from tuneoff.runtime.progress import Progress, Tallies, Tell, Watch, tell_nobody

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.analysis.comparison import Comparison, Row
    from tuneoff.analysis.sweep import Study
    from tuneoff.api import Planned, Trains
    from tuneoff.runner.plan import Stage

BRIEF_COSTS = {"trainable": "Trainable", "train_seconds": "Training", "training_memory": "Memory"}  # of a narrow table


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


def print_outcome(comparison: Comparison, report: Path) -> None:
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
    console.print(f"\nPage: {(report / 'index.html').resolve()}", markup=False, soft_wrap=True)


def print_study(study: Study, directory: Path) -> None:
    """Each method along the knob, with what it scored and cost, what that comes to, and where the page is."""
    from tuneoff.report.hyperparameters import knob_of, value_of
    from tuneoff.report.sweep_page import conclusions

    assert study.recipe.vary is not None, "a study varies something"
    console = Console(highlight=False)
    console.print(f"{study.recipe.name}: {study.recipe.vary.knob}", style="bold", markup=False)
    level = level_in_words(study.recipe.verdict.confidence)
    table = _table("Method", knob_of(study), "ROUGE-L", level, *BRIEF_COSTS.values())
    for label, line in study.lines.items():
        for point in line:
            table.add_row(*map(Text, (visible(label), value_of(study, point.value), *_scored_and_spent(point.row))))
    for row in study.references:
        table.add_row(*map(Text, (visible(row.label), "–", *_scored_and_spent(row))))
    console.print(table)
    for sentence in conclusions(study):
        console.print(sentence, markup=False)
    console.print(f"\nPage: {(directory / 'report' / 'index.html').resolve()}", markup=False, soft_wrap=True)


def _scored_and_spent(row: Row) -> Iterator[str]:
    """ROUGE-L with its interval, and the costs of a narrow table; what is nothing is not shown as zero."""
    from tuneoff.analysis.comparison import COSTS
    from tuneoff.report.sentences import ROUGE_L, cost_in_words, interval_in_words, score_in_words

    score, cost = row.scores[ROUGE_L.name], {c.name: c for c in COSTS}
    yield score_in_words(ROUGE_L, score.mean)
    yield interval_in_words(ROUGE_L, score)
    yield from (cost_in_words(cost[name], spent) if (spent := row.costs.get(name)) else "–" for name in BRIEF_COSTS)


def print_plan(planned: Planned, title: str) -> None:
    """Each method with what it trains, and below it its stages with their work."""
    console = Console(highlight=False)
    console.print(title, style="bold", markup=False)
    table = _table("", "trainings", "steps", "tokens", "scored")
    for label, (trainable, total) in planned.parameters.items():
        share = (
            f"{count_in_words(trainable)} trained ({share_in_words(trainable / total)})" if trainable else "as it came"
        )
        table.add_row(Text.assemble((label, "bold"), f"  {share}"))
        of_label = [stage for stage in planned.stages if stage.label == label]
        for stage in of_label:
            table.add_row(f"  {_stage(planned, stage)}", str(stage.trainings), *_worked(stage))
        if len(of_label) > 1:
            table.add_row("  in all", str(sum(s.trainings for s in of_label)), *_worked(*of_label))
    console.print(table)
    rungs = "Trainings above the first rung go on from where they stopped. " if planned.recipe.search else ""
    console.print(
        f"{rungs}Steps and tokens are those of trainings that neither diverge nor are stopped early.", style="dim"
    )


def print_bill(planned: Planned, price_per_hour: float | None = None) -> None:
    """What each method will cost, part by part, the sum, and what does not fit."""
    from tuneoff.report.budget_table import misfits, money_in_words

    bill, room = planned.bill, planned.room
    assert bill is not None, "asked only after a probe"
    assert room is not None, "which also says what there is"
    budget = planned.recipe.budget
    price = price_per_hour if price_per_hour is not None else budget.price_per_hour if budget else None
    console = Console(highlight=False)
    table = _table("", "trainings", "time", "memory", *(["money"] if price is not None else []))

    def row(name: str | Text, trainings: str, seconds: float, memory: str = "") -> None:
        money = [money_in_words(seconds, price)] if price is not None else []
        table.add_row(name, trainings, seconds_in_words(seconds), memory, *money)

    for label in dict.fromkeys(entry.label for entry in bill.entries):
        own = [entry for entry in bill.entries if entry.label == label]
        most = max(entry.memory_bytes for entry in own)
        row(Text(visible(label), style="bold"), "", sum(entry.seconds for entry in own), bytes_in_words(most))
        for entry in own if len(own) > 1 else ():
            name = f"search, to {share_in_words(entry.rung)}" if entry.part == "search" else entry.part
            row(f"  {name}", str(entry.trainings), entry.seconds, bytes_in_words(entry.memory_bytes))
    row("text, model, page", "", bill.apart_seconds)
    row(Text("in all", style="bold"), "", bill.seconds, bytes_in_words(bill.memory_bytes))
    console.print(table)
    disk = ", ".join(f"{bytes_in_words(size)} {what}" for what, size in bill.disk.items() if size)
    console.print(f"Disk: at most {bytes_in_words(bill.disk_bytes)}: {disk}.", markup=False)
    refused = [f"{label} could not be probed: {reason}" for label, reason in planned.refused.items()]
    for line in (*refused, *misfits(bill, room)) or ("All of it fits into this machine's memory and disk.",):
        console.print(_printable(line), markup=False)
    console.print("Predicted from a probe on this machine, if nothing diverges or is stopped early.", style="dim")


def _stage(planned: Planned, stage: Stage) -> str:
    if stage.name == "search":
        return f"search, to {share_in_words(stage.rung)} of the training"
    seeds = ", ".join(map(str, planned.recipe.seeds_of(stage.label)))
    return f"confirm and test, seed{'s' * (',' in seeds)} {seeds}" if stage.steps else "test"


def _worked(*stages: Stage) -> list[str]:
    sums = [sum(getattr(s, field) for s in stages) for field in ("steps", "trained_tokens", "scored_tokens")]
    return [f"{number:,}" if number else "" for number in sums]


def print_methods(trains: Sequence[Trains]) -> None:
    """What each method trains, module by module; `*` stands for a layer's number."""
    console = Console(highlight=False)
    for method in trains:
        if method.method is None:
            console.print(f"{method.label}: {method.refused}", style="dim", markup=False, soft_wrap=True)
            continue
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


def print_calibrations(found: Iterable[Calibration], *, markdown: bool = False) -> None:
    """What came of testing the verdict, as a table; a line on standard error as each method and metric is done."""
    from tuneoff.analysis import calibration

    done = []
    for one in found:
        _say(f"{one.label}, {one.metric.title}: {2 * one.pairs} comparisons judged")
        done.append(one)
    if markdown:
        print(calibration.markdown(done), end="")
        return
    console = Console(highlight=False)
    header, *rows = calibration.table(done)
    table = _table(*header)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)
    console.print(
        "False: how often two groups of one method's seeds were told apart, which at a confidence of 95 % should be in "
        "5 % at most, and where that share lies. Found: how often a difference of the planted size was, and how often "
        "the verdict states it.",
        style="dim",
    )
