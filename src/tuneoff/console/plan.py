"""The plan of a comparison and its cost estimate as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tuneoff.console.progress import replace_unprintable
from tuneoff.console.tables import make_table
from tuneoff.report.budget_table import list_misfits
from tuneoff.report.data_warnings import describe_rows, list_data_warnings
from tuneoff.report.diagnostics.examples import list_shared_sources
from tuneoff.report.escape import escape_control
from tuneoff.report.format import (
    format_bytes,
    format_count,
    format_money,
    format_seconds,
    format_share,
    join_list,
    pluralize,
)
from tuneoff.report.population import describe_samples
from tuneoff.report.sensitivity import describe_sensitivity, describe_unknown_noise
from tuneoff.search.effort import MOST_TIMES

if TYPE_CHECKING:
    from tuneoff.analysis.plan import Plan
    from tuneoff.data.statistics import DataSummary, SplitSummary
    from tuneoff.runner.stages import Stage


def print_plan(plan: Plan, title: str) -> None:
    """Print the sizes of the splits, what each method trains, and the work of each of its stages."""
    console = Console(highlight=False)
    console.print(title, style="bold", markup=False)
    for line in (*_describe_data(plan.data), _describe_metrics(plan)):
        console.print(line, markup=False)
    table = make_table("", "trials", "steps", "tokens", "scored")
    for label, (trainable, total) in plan.parameters.items():
        share = f"{format_count(trainable)} trained ({format_share(trainable / total)})" if trainable else "not trained"
        table.add_row(Text.assemble((label, "bold"), f"  {share}"))
        stages = [stage for stage in plan.stages if stage.label == label]
        for stage in stages:
            table.add_row(f"  {_format_stage(plan, stage)}", str(stage.trainings), *_format_work(stage))
        if len(stages) > 1:
            table.add_row("  total", str(sum(stage.trainings for stage in stages)), *_format_work(*stages))
    for label in plan.misfits:
        table.add_row(Text.assemble((escape_control(label), "bold"), "  does not fit"))
    console.print(table)
    for label, reason in plan.misfits.items():
        misfit = f"{label} does not fit {plan.recipe.model.name}: {reason}"
        console.print(replace_unprintable(escape_control(misfit)), markup=False)
    for label, left_out in plan.cuts.items():
        cut = f"The search of {label} leaves out what does not fit {plan.recipe.model.name}: {left_out}"
        console.print(replace_unprintable(escape_control(cut)), markup=False)
    if plan.recipe.until_decided:
        console.print(
            "At most: a method gets no further seed once it is shown to be worse than the best one.", style="dim"
        )
    if plan.recipe.judge:
        questions, model = _count_questions(plan), plan.recipe.judge.model
        console.print(f"The judge {model} is then asked up to {questions:,} questions.", markup=False, style="dim")
    rungs = "Above the first rung, a trial continues from its checkpoint. " if plan.recipe.search else ""
    console.print(f"{rungs}Steps and tokens assume that no trial diverges or stops early.", style="dim")
    if plan.recipe.search and plan.recipe.search.effort == "seconds" and plan.cost_estimate is None:
        console.print(
            "The searches get equal seconds, so a faster method will try more configurations than listed, up to "
            f"{MOST_TIMES} times as many. How many depends on the measured speeds: add --probe.",
            style="dim",
        )


def print_cost_estimate(plan: Plan, price_per_hour: float | None = None) -> None:
    """Print the estimated cost of each method and stage, the total, and what does not fit this machine or the budget.

    Args:
        price_per_hour: price of an hour of this machine, by default that of the recipe's budget.
    """

    cost_estimate, capacity = plan.cost_estimate, plan.capacity
    assert cost_estimate is not None, "only called after a probe"
    assert capacity is not None, "a probe also measures the capacity"
    budget = plan.recipe.budget
    price = price_per_hour if price_per_hour is not None else budget.price_per_hour if budget else None
    console = Console(highlight=False)
    table = make_table("", "trials", "time", "memory", *(["money"] if price is not None else []))

    def add_row(name: str | Text, trials: str, seconds: float, memory: str = "") -> None:
        money = [format_money(seconds, price)] if price is not None else []
        table.add_row(name, trials, format_seconds(seconds), memory, *money)

    for label in dict.fromkeys(entry.label for entry in cost_estimate.entries):
        entries = [entry for entry in cost_estimate.entries if entry.label == label]
        memory = format_bytes(max(entry.memory_bytes for entry in entries))
        add_row(Text(escape_control(label), style="bold"), "", sum(entry.seconds for entry in entries), memory)
        for entry in entries if len(entries) > 1 else ():
            name = _format_search(entry.previous_rung, entry.rung) if entry.part == "search" else entry.part
            add_row(f"  {name}", str(entry.trainings), entry.seconds, format_bytes(entry.memory_bytes))
    add_row("data, model, report", "", cost_estimate.shared_seconds)
    add_row(Text("total", style="bold"), "", cost_estimate.seconds, format_bytes(cost_estimate.memory_bytes))
    console.print(table)
    disk = ", ".join(f"{format_bytes(size)} {content}" for content, size in cost_estimate.disk.items() if size)
    console.print(f"Disk: at most {format_bytes(cost_estimate.disk_bytes)}: {disk}.", markup=False)
    refused = [f"{label} could not be probed: {reason}" for label, reason in plan.refused.items()]
    problems = (*refused, *list_misfits(cost_estimate, capacity))
    for line in problems or ("The comparison fits into this machine's memory and disk.",):
        console.print(replace_unprintable(line), markup=False)
    console.print("Estimated by a probe on this machine, assuming that no trial diverges or stops early.", style="dim")


def print_sensitivity(plan: Plan) -> None:
    """Print which differences between methods the comparison can show; nothing if there is nothing to compare."""
    console, recipe = Console(highlight=False), plan.recipe
    if plan.sensitivity:
        lines = [*describe_sensitivity(plan.sensitivity, recipe.verdict)]
    elif len(recipe.methods) > 1 and any(trainable for trainable, _ in plan.parameters.values()):
        lines = [describe_unknown_noise(recipe.primary_metric, len(recipe.seeds))]
    else:
        lines = []
    for line in lines:
        console.print(replace_unprintable(line), markup=False)


def _describe_metrics(plan: Plan) -> str:
    """Say what the comparison goes by, and which task its data is taken for."""
    primary = plan.recipe.primary_metric
    others = [metric.title for metric in plan.recipe.metric_table.values() if metric is not primary]
    also = f"; also {join_list(others)}" if others else ""
    return replace_unprintable(f"Ranked by {primary.title}{also} (the data is taken for {plan.data.task})")


def _count_questions(plan: Plan) -> int:
    """Count what a judge is asked at most: each run's answers in both orders. Equal answers are not asked."""
    judge, recipe, test = plan.recipe.judge, plan.recipe, plan.data.splits.get("test")
    assert judge is not None, "only called with a judge"
    examples = test.examples if test else 0
    runs = [
        len(recipe.get_seeds(label))
        for label, method in recipe.methods.items()
        if method.trains or judge.against == "reference"
    ]
    return 2 * sum(runs) * (examples if judge.examples is None else min(judge.examples, examples))


def _describe_data(data: DataSummary) -> Iterator[str]:
    """Yield the number of examples, and for each split what was truncated, excluded or removed."""
    yield from (f"Warning: {text}" for text in list_data_warnings(data))
    if data.shape:
        yield replace_unprintable(f"Rows: {describe_rows(data)}")
    yield f"Examples: {', '.join(_count_examples(name, split) for name, split in data.splits.items())}"
    yield from (replace_unprintable(f"  {note}") for note in data.notes)
    yield from (f"  {sentence}" for _, sentence in list_shared_sources(data))
    if samples := data.train_samples:
        yield f"  {describe_samples(samples)}"
    for name, split in data.splits.items():
        remarks = {
            _describe_cut(split): split.source_cut_share,
            f"{format_share(split.target_cut_share)} of targets truncated": split.target_cut_share,
            f"{pluralize(split.left_out, 'row')} excluded ({'; '.join(split.left_out_examples)})": split.left_out,
            f"{pluralize(split.duplicates_removed, 'duplicate')} removed": split.duplicates_removed,
            f"{pluralize(split.groups_removed, 'row')} left out to keep groups in one split": split.groups_removed,
            f"{pluralize(split.sources_removed, 'row')} left out whose source is in another split": (
                split.sources_removed
            ),
            f"{pluralize(split.repeated, 'example')} equal to an earlier one": split.repeated,
            f"{pluralize(split.near_duplicates, 'near duplicate')} of validation or test": split.near_duplicates,
        }
        if shown := [text for text, amount in remarks.items() if amount]:
            yield replace_unprintable(f"  {name}: {', '.join(shown)}")


def _describe_cut(split: SplitSummary) -> str:
    """Say how many sources were truncated, and of which columns if the prompt shows others."""
    by_column = [f"{format_share(share)} {name}" for name, share in split.cut_shares.items()]
    columns = f" ({', '.join(by_column)})" if split.cut_shares.keys() - {"source"} else ""
    return f"{format_share(split.source_cut_share)} of sources truncated{columns}"


def _count_examples(name: str, split: SplitSummary) -> str:
    in_groups = f" in {pluralize(split.groups, 'group')}" if split.groups else ""
    return f"{split.examples:,} {name}{in_groups}"


def _format_stage(plan: Plan, stage: Stage) -> str:
    if stage.name == "search":
        return f"{_format_search(stage.previous_rung, stage.rung)} of the training"
    seeds = ", ".join(map(str, plan.recipe.get_seeds(stage.label)))
    if plan.recipe.replicates and stage.steps:
        return f"confirm and test, replicates {seeds}"
    return f"confirm and test, seed{'s' * (',' in seeds)} {seeds}" if stage.steps else "test"


def _format_search(start: float, end: float) -> str:
    return f"search, {format_share(start)} to {format_share(end)}"


def _format_work(*stages: Stage) -> list[str]:
    """Return steps, trained tokens and scored tokens, summed over the stages."""
    fields = ("steps", "trained_tokens", "scored_tokens")
    totals = [sum(getattr(stage, field) for stage in stages) for field in fields]
    return [f"{total:,}" if total else "" for total in totals]
