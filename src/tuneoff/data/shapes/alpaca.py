"""An instruction, an input that may be empty, and an output. Source: Taori et al. 2023, "Stanford Alpaca"."""

from dataclasses import replace

from tuneoff.data.shapes.shape import Cells, Parts, Shape, build_with_context, fits_always


def build_instruction(cells: Cells) -> Parts:
    """Build the parts of a row. An input is no document: short ones are equal by chance."""
    return replace(build_with_context(cells), document="")


SHAPE = Shape(
    name="alpaca",
    usual=tuple(
        {"source": "instruction", **context, "target": answer}
        for answer in ("output", "response")
        for context in ({"context": "input"}, {"context": "context"}, {})
    ),
    required=("source", "target"),
    fits=fits_always,
    build=build_instruction,
)
