"""A text and its label, for classification. A label is text, a number, or the number of a class that has a name."""

from tuneoff.data.shapes.shape import Shape, build_pair, fits_always

SHAPE = Shape(
    name="text-label",
    usual=tuple(
        {"source": text, "target": label}
        for text in ("text", "sentence", "review", "content", "tweet")
        for label in ("label", "label_text", "labels", "class", "category", "sentiment", "intent")
    ),
    required=("source", "target"),
    fits=fits_always,
    build=build_pair,
)
