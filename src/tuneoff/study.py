"""A study's outcome: quality and cost of each method along one knob. Pure: comparisons in, lines out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.comparison import Comparison, Row
from tuneoff.recipe import Recipe


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
