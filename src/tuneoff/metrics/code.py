"""Code: how similar it is to the reference, and whether it parses as Python."""

from __future__ import annotations

import ast
import textwrap
import warnings

from tuneoff.metrics.per_example import make_share_metric, take_best


def compute_similarity(prediction: str, reference: str) -> float:
    """Return 1 minus the edits of single characters, as a share of the longer text. Two empty texts are equal."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(prediction.strip(), reference.strip()))


def parses(text: str) -> bool:
    """Return whether a text is Python: a module, or the body of a function. Empty text is none."""
    return bool(text.strip()) and any(map(_is_module, (textwrap.dedent(text), _make_function(text))))


def _make_function(text: str) -> str:
    """Return a function with this body. The first line may have lost its indentation at the start of a prediction."""
    first, *others = text.strip().splitlines() or [""]
    indents = [line[: len(line) - len(line.lstrip())] for line in others if line.strip()]
    indent = min(indents, key=len, default="") or "    "
    return "\n".join(["def f():", f"{indent}{first}", *others])


def _is_module(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as one about an escape in a string
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


EDIT = make_share_metric(
    name="edit",
    title="Edit similarity",
    unit="% of characters",
    meaning="1 minus the edits of characters (Levenshtein) between prediction and reference, as a share of the longer "
    "one, mean over test examples.",
    score=take_best(compute_similarity),
    is_all_or_nothing=False,
    reads_as=str.strip,
)
PARSES = make_share_metric(
    name="parses",
    title="Parses as Python",
    meaning="Share of predictions that Python can parse, as a module or as the body of a function.",
    score=lambda answer: parses(answer.prediction),
)
