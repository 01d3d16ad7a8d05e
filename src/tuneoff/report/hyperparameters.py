"""Knobs and their values as a reader says them."""

from collections.abc import Mapping
from typing import Any

from tuneoff.analysis.sweep import Study
from tuneoff.config.search_space import Knob, Range
from tuneoff.report.escape import visible
from tuneoff.report.format import rate_in_words


def knobs_in_words(values: Mapping[str, Any]) -> str:  # Any: what a knob takes
    """`rate 5e-4 · rank 8`."""
    return " · ".join(
        f"{'rate' if name == 'learning_rate' else name.replace('_', ' ')} {value_in_words(value)}"
        for name, value in values.items()
    )


def value_in_words(value: Any) -> str:
    """A number without digits that say nothing, a small one by its power of ten; a list without its brackets."""
    match value:
        case float():
            return rate_in_words(value)
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(value_in_words, value))
        case _:
            return visible(str(value))


def knob_of(study: Study) -> str:
    """What is varied, in the words of a heading: `rank`, `train examples`, `model`."""
    assert study.recipe.vary is not None, "a study varies something"
    *within, last = study.recipe.vary.knob.split(".")
    match within:
        case [*_, "sizes"]:
            return f"{last} examples"
        case [*_, owner] if last == "name":
            return owner
        case _:
            return last.replace("_", " ")


def value_of(study: Study, value: Any) -> str:
    """One of a study's values in words; of a path, such as a model's on the hub, its end if that tells them apart."""
    assert study.recipe.vary is not None, "a study varies something"
    ends = [str(one).rstrip("/").rpartition("/")[2] for one in study.recipe.vary.values]
    short = isinstance(value, str) and len(set(ends)) == len(ends)
    return value_in_words(ends[study.recipe.vary.values.index(value)] if short else value)


def ends_of(knob: Knob) -> tuple[float, float]:
    """The least and the greatest of a range of numbers, or of choices between them."""
    return (knob.low, knob.high) if isinstance(knob, Range) else (min(knob), max(knob))


def span_in_words(knob: Knob) -> str:
    """`1e-5 to 3e-3`."""
    low, high = ends_of(knob)
    return f"{rate_in_words(low)} to {rate_in_words(high)}"
