"""Shapes: what a row of a kind of data is made of. A new one is one file and one entry in `SHAPES`."""

from tuneoff.config.data import ShapeName
from tuneoff.data.shapes import (
    alpaca,
    messages,
    pairs,
    prompt_completion,
    question_answer,
    sharegpt,
    text,
    text_label,
)
from tuneoff.data.shapes.shape import Cells, Parts, Shape

SHAPES: dict[ShapeName, Shape] = {
    module.SHAPE.name: module.SHAPE
    for module in (messages, sharegpt, pairs, prompt_completion, alpaca, question_answer, text_label, text)
}

__all__ = ["SHAPES", "Cells", "Parts", "Shape"]
