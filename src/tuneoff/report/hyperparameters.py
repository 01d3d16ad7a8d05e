"""Knobs and their values as a reader says them."""

from collections.abc import Mapping
from typing import Any

from tuneoff.analysis.sweep import Sweep
from tuneoff.config.search_space import Domain, Range
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_rate


def format_hyperparameters(values: Mapping[str, Any]) -> str:  # Any: what a knob takes
    """`rate 5e-4 · rank 8`."""
    return " · ".join(
        f"{'rate' if name == 'learning_rate' else name.replace('_', ' ')} {format_value(value)}"
        for name, value in values.items()
    )


def format_value(value: Any) -> str:
    """A number without digits that say nothing, a small one by its power of ten; a list without its brackets."""
    match value:
        case float():
            return format_rate(value)
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(format_value, value))
        case _:
            return escape_control(str(value))


def get_parameter_title(sweep: Sweep) -> str:
    """What is varied, in the words of a heading: `rank`, `train examples`, `model`."""
    assert sweep.recipe.sweep is not None, "a study varies something"
    *within, last = sweep.recipe.sweep.parameter.split(".")
    match within:
        case [*_, "sizes"]:
            return f"{last} examples"
        case [*_, owner] if last == "name":
            return owner
        case _:
            return last.replace("_", " ")


def format_sweep_value(sweep: Sweep, value: Any) -> str:
    """One of a study's values in words; of a path, such as a model's on the hub, its end if that tells them apart."""
    assert sweep.recipe.sweep is not None, "a study varies something"
    ends = [str(one).rstrip("/").rpartition("/")[2] for one in sweep.recipe.sweep.values]
    short = isinstance(value, str) and len(set(ends)) == len(ends)
    return format_value(ends[sweep.recipe.sweep.values.index(value)] if short else value)


def list_ends(knob: Domain) -> tuple[float, float]:
    """The least and the greatest of a range of numbers, or of choices between them."""
    return (knob.low, knob.high) if isinstance(knob, Range) else (min(knob), max(knob))


def format_range(knob: Domain) -> str:
    """`1e-5 to 3e-3`."""
    low, high = list_ends(knob)
    return f"{format_rate(low)} to {format_rate(high)}"
