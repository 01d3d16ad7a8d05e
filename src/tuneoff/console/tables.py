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

from tuneoff.console.progress import _print_line, replace_control
from tuneoff.report.escape import escape_control
from tuneoff.report.format import (
    format_bytes,
    format_confidence,
    format_count,
    format_seconds,
    format_share,
)
from tuneoff.report.sentences import describe_verdict

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.analysis.comparison import Comparison, Row
    from tuneoff.analysis.sweep import Sweep
    from tuneoff.budget.plan import Plan
    from tuneoff.runner.inspect import InspectedMethod
    from tuneoff.runner.stages import Stage

BRIEF_COSTS = {"trainable": "Trainable", "train_seconds": "Training", "training_memory": "Memory"}  # of a narrow table


def print_comparison(comparison: Comparison, report: Path) -> None:
    """The verdict, the leaderboard and where the page is."""
    from tuneoff.report.tables import make_terminal_rows

    console = Console()
    header, *rows = make_terminal_rows(comparison)
    table = _make_table(*header)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for sentence in describe_verdict(comparison):
        console.print(sentence, markup=False, highlight=False)
    console.print(f"\nPage: {(report / 'index.html').resolve()}", markup=False, soft_wrap=True)


def print_sweep(sweep: Sweep, directory: Path) -> None:
    """Each method along the knob, with what it scored and cost, what that comes to, and where the page is."""
    from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title
    from tuneoff.report.sweep_page import describe_conclusions

    assert sweep.recipe.sweep is not None, "a study varies something"
    console = Console(highlight=False)
    console.print(f"{sweep.recipe.name}: {sweep.recipe.sweep.parameter}", style="bold", markup=False)
    level = format_confidence(sweep.recipe.verdict.confidence)
    table = _make_table("Method", get_parameter_title(sweep), "ROUGE-L", level, *BRIEF_COSTS.values())
    for label, line in sweep.lines.items():
        for point in line:
            table.add_row(
                *map(Text, (escape_control(label), format_sweep_value(sweep, point.value), *_format_row(point.row)))
            )
    for row in sweep.references:
        table.add_row(*map(Text, (escape_control(row.label), "–", *_format_row(row))))
    console.print(table)
    for sentence in describe_conclusions(sweep):
        console.print(sentence, markup=False)
    console.print(f"\nPage: {(directory / 'report' / 'index.html').resolve()}", markup=False, soft_wrap=True)


def _format_row(row: Row) -> Iterator[str]:
    """ROUGE-L with its interval, and the costs of a narrow table; what is nothing is not shown as zero."""
    from tuneoff.analysis.metrics import COSTS
    from tuneoff.report.format import ROUGE_L, format_cost, format_interval, format_score

    score, cost = row.scores[ROUGE_L.name], {c.name: c for c in COSTS}
    yield format_score(ROUGE_L, score.mean)
    yield format_interval(ROUGE_L, score)
    yield from (format_cost(cost[name], spent) if (spent := row.costs.get(name)) else "–" for name in BRIEF_COSTS)


def print_plan(planned: Plan, title: str) -> None:
    """Each method with what it trains, and below it its stages with their work."""
    console = Console(highlight=False)
    console.print(title, style="bold", markup=False)
    table = _make_table("", "trainings", "steps", "tokens", "scored")
    for label, (trainable, total) in planned.parameters.items():
        share = f"{format_count(trainable)} trained ({format_share(trainable / total)})" if trainable else "as it came"
        table.add_row(Text.assemble((label, "bold"), f"  {share}"))
        of_label = [stage for stage in planned.stages if stage.label == label]
        for stage in of_label:
            table.add_row(f"  {_format_stage(planned, stage)}", str(stage.trainings), *_format_work(stage))
        if len(of_label) > 1:
            table.add_row("  in all", str(sum(s.trainings for s in of_label)), *_format_work(*of_label))
    console.print(table)
    rungs = "Trainings above the first rung go on from where they stopped. " if planned.recipe.search else ""
    console.print(
        f"{rungs}Steps and tokens are those of trainings that neither diverge nor are stopped early.", style="dim"
    )


def print_cost_estimate(planned: Plan, price_per_hour: float | None = None) -> None:
    """What each method will cost, part by part, the sum, and what does not fit."""
    from tuneoff.report.budget_table import format_money, list_misfits

    cost_estimate, room = planned.cost_estimate, planned.capacity
    assert cost_estimate is not None, "asked only after a probe"
    assert room is not None, "which also says what there is"
    budget = planned.recipe.budget
    price = price_per_hour if price_per_hour is not None else budget.price_per_hour if budget else None
    console = Console(highlight=False)
    table = _make_table("", "trainings", "time", "memory", *(["money"] if price is not None else []))

    def row(name: str | Text, trainings: str, seconds: float, memory: str = "") -> None:
        money = [format_money(seconds, price)] if price is not None else []
        table.add_row(name, trainings, format_seconds(seconds), memory, *money)

    for label in dict.fromkeys(entry.label for entry in cost_estimate.entries):
        own = [entry for entry in cost_estimate.entries if entry.label == label]
        most = max(entry.memory_bytes for entry in own)
        row(Text(escape_control(label), style="bold"), "", sum(entry.seconds for entry in own), format_bytes(most))
        for entry in own if len(own) > 1 else ():
            name = f"search, to {format_share(entry.rung)}" if entry.part == "search" else entry.part
            row(f"  {name}", str(entry.trainings), entry.seconds, format_bytes(entry.memory_bytes))
    row("text, model, page", "", cost_estimate.shared_seconds)
    row(Text("in all", style="bold"), "", cost_estimate.seconds, format_bytes(cost_estimate.memory_bytes))
    console.print(table)
    disk = ", ".join(f"{format_bytes(size)} {what}" for what, size in cost_estimate.disk.items() if size)
    console.print(f"Disk: at most {format_bytes(cost_estimate.disk_bytes)}: {disk}.", markup=False)
    refused = [f"{label} could not be probed: {reason}" for label, reason in planned.refused.items()]
    for line in (*refused, *list_misfits(cost_estimate, room)) or (
        "All of it fits into this machine's memory and disk.",
    ):
        console.print(replace_control(line), markup=False)
    console.print("Predicted from a probe on this machine, if nothing diverges or is stopped early.", style="dim")


def _format_stage(planned: Plan, stage: Stage) -> str:
    if stage.name == "search":
        return f"search, to {format_share(stage.rung)} of the training"
    seeds = ", ".join(map(str, planned.recipe.get_seeds(stage.label)))
    return f"confirm and test, seed{'s' * (',' in seeds)} {seeds}" if stage.steps else "test"


def _format_work(*stages: Stage) -> list[str]:
    sums = [sum(getattr(s, field) for s in stages) for field in ("steps", "trained_tokens", "scored_tokens")]
    return [f"{number:,}" if number else "" for number in sums]


def print_methods(trains: Sequence[InspectedMethod]) -> None:
    """What each method trains, module by module; `*` stands for a layer's number."""
    console = Console(highlight=False)
    for method in trains:
        if method.method is None:
            console.print(f"{method.label}: {method.refused}", style="dim", markup=False, soft_wrap=True)
            continue
        share = format_share(method.trainable / method.total)
        console.print(f"{method.label}: {format_count(method.trainable)} of {format_count(method.total)} ({share})",
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


def _make_table(first: str, *numbers: str) -> Table:
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
        _print_line(f"{one.label}, {one.metric.title}: {2 * one.pairs} comparisons judged")
        done.append(one)
    if markdown:
        print(calibration.format_markdown(done), end="")
        return
    console = Console(highlight=False)
    header, *rows = calibration.build_table(done)
    table = _make_table(*header)
    for row in rows:
        table.add_row(*(Text(escape_control(cell)) for cell in row))
    console.print(table)
    console.print(
        "False: how often two groups of one method's seeds were told apart, which at a confidence of 95 % should be in "
        "5 % at most, and where that share lies. Found: how often a difference of the planted size was, and how often "
        "the verdict states it.",
        style="dim",
    )
