"""A study's outcome: quality and cost of each method along one knob. Pure: comparisons in, lines out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison, Row
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import label_at, variants, varied_method


@dataclass(frozen=True, kw_only=True)
class Point:
    """One method at one value of the knob."""

    value: Any  # as the recipe writes it
    place: float | None  # on the axis: the value itself if it is a number, a model's parameters; None: unordered
    row: Row
    comparison: Comparison  # that the row stands in; other points may stand in others, of other settings


@dataclass(frozen=True, kw_only=True)
class Study:
    """Lines by method label, each along the knob's values in order; and what the knob does not touch."""

    recipe: Recipe  # with its `vary`
    lines: Mapping[str, tuple[Point, ...]]
    references: tuple[Row, ...]  # such as full tuning, where LoRA's rank varies
    comparisons: Mapping[str, Comparison]  # by the name of their folder under the study's


def study_of(recipe: Recipe, comparisons: Mapping[str, Comparison]) -> Study:
    """What a study came to, from its comparisons by the name of their folder; one that is missing leaves a gap."""
    assert recipe.vary is not None, "a study varies something"
    own = varied_method(recipe)
    lines = _along_a_method(recipe, own, comparisons) if own else _along_settings(recipe, comparisons)
    varied = {id(point.row) for line in lines.values() for point in line}
    references = [r for c in comparisons.values() for r in c.rows if id(r) not in varied] if own else []
    return Study(
        recipe=recipe,
        lines={label: line for label, line in lines.items() if line},
        references=tuple(row for row in references if row.finished),
        comparisons=comparisons,
    )


def _along_a_method(
    recipe: Recipe, own: tuple[str, str], comparisons: Mapping[str, Comparison]
) -> dict[str, tuple[Point, ...]]:
    label, knob = own
    values = recipe.vary.values if recipe.vary else ()
    found = {row.label: (row, comparison) for comparison in comparisons.values() for row in comparison.rows}
    there = [(value, found[name]) for value in values if (name := label_at(label, knob, value)) in found]
    return {label: tuple(_point(value, row, comparison) for value, (row, comparison) in there if row.finished)}


def _along_settings(recipe: Recipe, comparisons: Mapping[str, Comparison]) -> dict[str, tuple[Point, ...]]:
    values = recipe.vary.values if recipe.vary else ()
    there = [(v, comparisons[name]) for v, name in zip(values, variants(recipe), strict=True) if name in comparisons]
    points = [
        (row.label, _point(v, row, comparison)) for v, comparison in there for row in comparison.rows if row.finished
    ]
    return {label: tuple(point for name, point in points if name == label) for label in recipe.methods}


def _point(value: Any, row: Row, comparison: Comparison) -> Point:
    """A model has its size for a place; else a number is its own, and a word has none."""
    sizes = [r.costs.total_parameters for r in comparison.run.records if r.costs and not r.costs.trainable_parameters]
    named_model = comparison.setting.model.name == value
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    place = float(min(sizes)) if named_model and sizes else number
    return Point(value=value, place=place, row=row, comparison=comparison)
