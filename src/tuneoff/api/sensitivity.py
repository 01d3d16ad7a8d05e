"""What a planned comparison can show: from stored runs, or from assumptions where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.noise import Noise, assume_noise, collect_scores, measure_noise
from tuneoff.analysis.plan import Plan
from tuneoff.analysis.sensitivity import (
    Design,
    Sensitivity,
    assess_sensitivity,
    choose_round_difference,
    find_visible_difference,
)
from tuneoff.api.comparisons import RUNS, load_comparison
from tuneoff.api.sweeps import is_sweep, load_sweep
from tuneoff.budget.other_sizes import count_tokens_with, estimate_seconds_with
from tuneoff.budget.probe import Probe
from tuneoff.data import DataSummary
from tuneoff.errors import RunError, TuneoffError
from tuneoff.metrics import Metric
from tuneoff.recipe.recipe import Recipe

MOST_UNEQUAL = 1.25  # times as many examples in a group: the noise of a group then differs by at most an eighth


def find_sensitivity(
    plan: Plan, probe: Probe | None, like: str | Path | None, differences: Sequence[float]
) -> Sensitivity | None:
    """Find what a planned comparison can show.

    Args:
        probe: what a probe measured, to estimate the time of other sizes.
        like: a stored run or sweep; by default the recipe's own run directory, if it has records on the same data.
        differences: to plan for; empty chooses the smallest that matters and a round one.

    Returns:
        None if there is nothing to compare, or if nothing is known about the noise of the metric.

    Raises:
        RunError: `like` is not a run directory, cannot be read, or shows nothing about the noise.
    """
    recipe, metric = plan.recipe, plan.recipe.primary_metric
    trained = [label for label, (trainable, _) in plan.parameters.items() if trainable]
    if not trained or len(recipe.methods) < 2:
        return None
    test = plan.data.splits["test"]
    design = Design(
        methods=len(recipe.methods),
        trained=len(trained),
        seeds=len(recipe.seeds),
        examples=test.groups or test.examples,
        confidence=recipe.verdict.confidence,
        has_groups=test.groups is not None,
    )
    noise = _find_noise(plan, metric, trained, like)
    if noise is None:
        return None

    def compute_cost(seeds: int, units: int) -> float:
        examples = round(units * test.examples / design.examples)
        if probe is None:
            return count_tokens_with(recipe, plan.data, seeds=seeds, test_examples=examples)
        return estimate_seconds_with(recipe, plan.data, probe, seeds=seeds, test_examples=examples)

    return assess_sensitivity(
        metric,
        design,
        noise,
        differences or _choose_differences(metric, recipe, noise, design),
        compute_cost,
        is_cost_in_seconds=probe is not None,
    )


def _choose_differences(metric: Metric, recipe: Recipe, noise: Noise, design: Design) -> list[float]:
    """The smallest difference that matters, and a round one between it and what three or more seeds can show."""
    visible = find_visible_difference(noise, replace(design, seeds=max(3, design.seeds)))
    margin = metric.get_margin(recipe.verdict)
    round_one = choose_round_difference(visible) if visible else 0.0
    return [difference for difference in dict.fromkeys((round_one, margin)) if difference >= max(margin, 1e-12)]


def _find_noise(plan: Plan, metric: Metric, trained: Sequence[str], like: str | Path | None) -> Noise | None:
    recipe = plan.recipe
    assumed = assume_noise(metric, recipe.verdict.prior)
    run = Path(like) if like else RUNS / recipe.name
    comparisons = _load_comparisons(run) if like else _load_own_run(run, plan)
    for comparison in comparisons:
        _require_same_units(comparison.run.data, plan.data, run)
    stored = [collect_scores(comparison, metric, trained) for comparison in comparisons]
    noise = measure_noise(stored, assumed, measured_in=str(run), against_base=len(trained) == 1)
    if noise is None and like:
        raise RunError(
            f"{run} has no records that show how {metric.title} varies between runs or over test examples. Give a run "
            "with two or more seeds of a trained method."
        )
    return noise or assumed


def _require_same_units(stored: DataSummary, planned: DataSummary, run: Path) -> None:
    """Refuse a run whose groups of test examples have another size than the recipe's; without groups it is one."""
    if not _have_same_units(stored, planned):
        of_run, of_recipe = (f"{_compute_group_size(data):.3g}" for data in (stored, planned))
        raise RunError(
            f"A group of test examples has {of_run} in {run} and {of_recipe} in the recipe, on average. Groups are "
            "those of data.fields.group, or of equal sources. Scores of groups of another size vary in another way. "
            "Give --like a run whose data is grouped as in the recipe."
        )


def _have_same_units(stored: DataSummary, planned: DataSummary) -> bool:
    sizes = sorted(map(_compute_group_size, (stored, planned)))
    return sizes[1] <= MOST_UNEQUAL * sizes[0]


def _compute_group_size(data: DataSummary) -> float:
    """Return the mean number of examples in a group of the test split, whether a column or equal sources make it."""
    test = data.splits["test"]
    return test.examples / (test.groups or test.examples)


def _load_comparisons(run: Path) -> list[Comparison]:
    return list(load_sweep(run).comparisons.values()) if is_sweep(run) else [load_comparison(run)]


def _load_own_run(run: Path, plan: Plan) -> list[Comparison]:
    """Load the recipe's own run directory, if it has one on the same model and data, of whatever size.

    A run that cannot be read is no reason not to plan: `tuneoff compare` says what is wrong with it.
    """
    if not run.is_dir():
        return []
    try:
        comparisons = _load_comparisons(run)
    except TuneoffError:
        return []
    return [
        comparison
        for comparison in comparisons
        if _is_like(comparison.run.recipe, plan.recipe) and _have_same_units(comparison.run.data, plan.data)
    ]


def _is_like(stored: Recipe, recipe: Recipe) -> bool:
    def describe_data(one: Recipe) -> dict[str, object]:
        return one.data.model_dump(exclude={"sizes", "fractions", "seed"})

    return stored.model.name == recipe.model.name and describe_data(stored) == describe_data(recipe)
