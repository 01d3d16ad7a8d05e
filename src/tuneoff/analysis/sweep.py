"""The result of a sweep: quality and cost of each method along one parameter, from comparisons alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.metrics import Metric
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep, find_swept_method, format_label


@dataclass(frozen=True, kw_only=True)
class Point:
    """One method at one value of the swept parameter."""

    value: Any  # as the recipe writes it
    place: float | None  # on the axis: the value if it is a number, a model's parameters, or None: unordered
    row: Row
    comparison: Comparison  # that the row belongs to; other points may belong to others, of other settings


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Lines by method label, each along the parameter's values in order, and the methods it does not affect."""

    recipe: Recipe  # with its `sweep`
    lines: Mapping[str, tuple[Point, ...]]
    references: tuple[Row, ...]  # such as full tuning, if LoRA's rank is swept
    comparisons: Mapping[str, Comparison]  # by the name of their folder in the sweep's directory

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that all comparisons have, the primary one first."""
        tables = [comparison.run.recipe.metric_table for comparison in self.comparisons.values()]
        recipe = next((comparison.run.recipe for comparison in self.comparisons.values()), self.recipe)
        primary, table = recipe.primary_metric, recipe.metric_table
        shared = [metric for name, metric in table.items() if all(name in other for other in tables)]
        return (primary, *(metric for metric in shared if metric is not primary))


def build_sweep(recipe: Recipe, comparisons: Mapping[str, Comparison]) -> Sweep:
    """Build a sweep from its comparisons, by the name of their folder; a missing one leaves a gap."""
    assert recipe.sweep is not None, "the recipe of a sweep sweeps something"
    swept_method = find_swept_method(recipe)
    lines = _trace_method(recipe, *swept_method, comparisons) if swept_method else _trace_settings(recipe, comparisons)
    on_lines = {id(point.row) for line in lines.values() for point in line}
    references = [r for c in comparisons.values() for r in c.rows if id(r) not in on_lines] if swept_method else []
    return Sweep(
        recipe=recipe,
        lines={label: line for label, line in lines.items() if line},
        references=tuple(row for row in references if row.finished),
        comparisons=comparisons,
    )


def _trace_method(
    recipe: Recipe, label: str, parameter: str, comparisons: Mapping[str, Comparison]
) -> dict[str, tuple[Point, ...]]:
    """The line of a method whose own parameter is swept, so that its points are rows of one comparison."""
    rows = {row.label: (row, comparison) for comparison in comparisons.values() for row in comparison.rows}
    points = []
    for value in recipe.sweep.values if recipe.sweep else ():
        row, comparison = rows.get(format_label(label, parameter, value), (None, None))
        if row and comparison and row.finished:
            points.append(_build_point(value, row, comparison))
    return {label: tuple(points)}


def _trace_settings(recipe: Recipe, comparisons: Mapping[str, Comparison]) -> dict[str, tuple[Point, ...]]:
    """A line for each method through the comparisons, of which there is one for each value."""
    values = recipe.sweep.values if recipe.sweep else ()
    lines: dict[str, list[Point]] = {label: [] for label in recipe.methods}
    for value, name in zip(values, expand_sweep(recipe), strict=True):
        for row in comparisons[name].rows if name in comparisons else ():
            if row.finished and row.label in lines:
                lines[row.label].append(_build_point(value, row, comparisons[name]))
    return {label: tuple(points) for label, points in lines.items()}


def _build_point(value: Any, row: Row, comparison: Comparison) -> Point:
    """Place a model by its number of parameters and a number by itself; a word has no place."""
    base = comparison.base
    sizes = [r.costs.total_parameters for r in base.records if r.costs] if base else []
    is_model = comparison.setting.model.name == value
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return Point(value=value, place=float(min(sizes)) if is_model and sizes else number, row=row, comparison=comparison)
