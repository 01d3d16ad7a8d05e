"""A study's outcome: quality and cost of each method along one knob. Pure: comparisons in, lines out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison, Row
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep, find_swept_method, format_label


@dataclass(frozen=True, kw_only=True)
class Point:
    """One method at one value of the knob."""

    value: Any  # as the recipe writes it
    place: float | None  # on the axis: the value itself if it is a number, a model's parameters; None: unordered
    row: Row
    comparison: Comparison  # that the row stands in; other points may stand in others, of other settings


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Lines by method label, each along the knob's values in order; and what the knob does not touch."""

    recipe: Recipe  # with its `vary`
    lines: Mapping[str, tuple[Point, ...]]
    references: tuple[Row, ...]  # such as full tuning, where LoRA's rank varies
    comparisons: Mapping[str, Comparison]  # by the name of their folder under the study's


def build_sweep(recipe: Recipe, comparisons: Mapping[str, Comparison]) -> Sweep:
    """What a study came to, from its comparisons by the name of their folder; one that is missing leaves a gap."""
    assert recipe.sweep is not None, "a study varies something"
    own = find_swept_method(recipe)
    lines = _trace_method(recipe, own, comparisons) if own else _trace_settings(recipe, comparisons)
    varied = {id(point.row) for line in lines.values() for point in line}
    references = [r for c in comparisons.values() for r in c.rows if id(r) not in varied] if own else []
    return Sweep(
        recipe=recipe,
        lines={label: line for label, line in lines.items() if line},
        references=tuple(row for row in references if row.finished),
        comparisons=comparisons,
    )


def _trace_method(
    recipe: Recipe, own: tuple[str, str], comparisons: Mapping[str, Comparison]
) -> dict[str, tuple[Point, ...]]:
    label, knob = own
    values = recipe.sweep.values if recipe.sweep else ()
    found = {row.label: (row, comparison) for comparison in comparisons.values() for row in comparison.rows}
    there = [(value, found[name]) for value in values if (name := format_label(label, knob, value)) in found]
    return {label: tuple(_build_point(value, row, comparison) for value, (row, comparison) in there if row.finished)}


def _trace_settings(recipe: Recipe, comparisons: Mapping[str, Comparison]) -> dict[str, tuple[Point, ...]]:
    values = recipe.sweep.values if recipe.sweep else ()
    there = [
        (v, comparisons[name]) for v, name in zip(values, expand_sweep(recipe), strict=True) if name in comparisons
    ]
    points = [
        (row.label, _build_point(v, row, comparison))
        for v, comparison in there
        for row in comparison.rows
        if row.finished
    ]
    return {label: tuple(point for name, point in points if name == label) for label in recipe.methods}


def _build_point(value: Any, row: Row, comparison: Comparison) -> Point:
    """A model has its size for a place; else a number is its own, and a word has none."""
    sizes = [r.costs.total_parameters for r in comparison.run.records if r.costs and not r.costs.trainable_parameters]
    named_model = comparison.setting.model.name == value
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    place = float(min(sizes)) if named_model and sizes else number
    return Point(value=value, place=place, row=row, comparison=comparison)
