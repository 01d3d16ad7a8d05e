"""What a person sees in the terminal: progress while a comparison runs, and tables when it is done.

Text from data, models and errors is shown with `markup=False` and without control characters, so that no prediction
can move the cursor or colour the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuneoff.console.progress import _printable, _say
from tuneoff.report.escape import visible
from tuneoff.report.format import (
    bytes_in_words,
    count_in_words,
    level_in_words,
    seconds_in_words,
    share_in_words,
)
from tuneoff.report.sentences import verdict

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.analysis.comparison import Comparison, Row
    from tuneoff.analysis.sweep import Study
    from tuneoff.budget.estimate import Planned
    from tuneoff.runner.inspect import Trains
    from tuneoff.runner.plan import Stage

BRIEF_COSTS = {"trainable": "Trainable", "train_seconds": "Training", "training_memory": "Memory"}  # of a narrow table


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
    from tuneoff.analysis.metrics import COSTS
    from tuneoff.report.format import ROUGE_L, cost_in_words, interval_in_words, score_in_words

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
