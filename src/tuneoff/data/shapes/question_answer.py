"""A question, a text that holds the answer or none, and one or several answers, also nested as in SQuAD."""

from tuneoff.data.shapes.shape import Shape, build_with_context, fits_always

SHAPE = Shape(
    name="question-answer",
    usual=tuple(
        {"source": question, **context, "target": answer}
        for context in ({"context": "context"}, {"context": "passage"}, {})
        for question in ("question", "query")
        for answer in ("answers", "answer")
    ),
    required=("source", "target"),
    fits=fits_always,
    build=build_with_context,
)
