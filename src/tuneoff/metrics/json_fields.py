"""JSON: whether a prediction is valid, and how many of its fields are right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

from tuneoff.metrics.exact_match import normalize
from tuneoff.metrics.per_example import make_share_metric, take_best

Leaf = tuple[Hashable, ...]


def read_json(text: str) -> Any:  # Any: JSON
    """Read strict JSON.

    Raises:
        ValueError: it is none, or an object has a key twice.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_require_unique_keys)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def count_leaves(value: Any) -> Counter[Leaf]:
    """Count the fields of a JSON value: each place with its value. The order counts in a list, not in an object."""
    return Counter(_list_leaves(value, ()))


def compute_field_f1(prediction: str, reference: str) -> float:
    """Return the F1 of the fields in [0, 1]; 0 for invalid JSON. A reference that is none must be matched as text."""
    try:
        expected = count_leaves(read_json(reference))
    except ValueError:
        return float(normalize(prediction) == normalize(reference))
    try:
        found = count_leaves(read_json(prediction))
    except ValueError:
        return 0.0
    return 2 * (found & expected).total() / (found.total() + expected.total())


def is_valid_json(text: str) -> bool:
    """Return whether a text is strict JSON."""
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def _list_leaves(value: Any, path: Leaf) -> Iterator[Leaf]:
    match value:
        case {}:
            yield from ((*path, "{}"),) if not value else ()
            for key, inner in value.items():
                yield from _list_leaves(inner, (*path, key))
        case [*items]:
            yield from ((*path, "[]"),) if not items else ()
            for i, inner in enumerate(items):
                yield from _list_leaves(inner, (*path, i))
        case _:
            yield (*path, isinstance(value, bool), value)  # in Python, True is 1


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _require_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return dict(pairs)


def _read_leniently(text: str) -> Hashable:
    try:
        return frozenset(count_leaves(read_json(text)).items())
    except ValueError:
        return normalize(text)


FIELD_F1 = make_share_metric(
    name="field_f1",
    title="JSON field F1",
    unit="F1 × 100",
    meaning="Overlap of the JSON fields with the reference, each with its place and value: F1 × 100, mean over test "
    "examples; 0 for invalid JSON.",
    score=take_best(compute_field_f1),
    is_all_or_nothing=False,
    reads_as=_read_leniently,
)
VALID_JSON = make_share_metric(
    name="valid_json",
    title="Valid JSON",
    meaning="Share of predictions that are valid JSON.",
    score=lambda answer: is_valid_json(answer.prediction),
)
