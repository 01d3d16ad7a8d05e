"""Text alone, for language modeling: nothing is read before it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tuneoff.data.shapes.shape import Cells, Parts, Shape
from tuneoff.data.values import convert_source


def build_text(cells: Cells) -> Parts:
    """Build the parts of a row: all of its text is the target."""
    text = convert_source("target", cells.values.get("target"), cells.classes.get("target", ()))
    return Parts(source="", answers=(text,))


def _fits(values: Mapping[str, Sequence[Any]]) -> bool:
    return all(isinstance(value, str) for value in values["target"])


SHAPE = Shape(
    name="text",
    usual=({"target": "text"}, {"target": "content"}),
    required=("target",),
    fits=_fits,
    build=build_text,
)
