"""A text to read and a text to write, in two columns: the shape of summaries, translations and everything else."""

from tuneoff.data.shapes.shape import Shape, build_pair, fits_always

SHAPE = Shape(
    name="pairs",
    usual=(
        {"source": "source", "target": "target"},
        {"source": "article", "target": "highlights"},
        {"source": "article", "target": "summary"},
        {"source": "document", "target": "summary"},
        {"source": "dialogue", "target": "summary"},
        {"source": "text", "target": "summary"},
        {"source": "input", "target": "output"},
        {"source": "input", "target": "target"},
        {"source": "src", "target": "tgt"},
        {"source": "docstring", "target": "code"},
    ),
    required=("source", "target"),
    fits=fits_always,
    build=build_pair,
)
