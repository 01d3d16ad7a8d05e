"""Hyperparameters, swept parameters and their values as text."""

from collections.abc import Mapping
from typing import Any

from tuneoff.analysis.sweep import Sweep
from tuneoff.config.search_space import Domain, Range
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_rate


def format_hyperparameters(values: Mapping[str, Any]) -> str:  # Any: the value of a hyperparameter
    """Format hyperparameters in one line: `rate 5e-4 · rank 8`."""
    return " · ".join(
        f"{'rate' if name == 'learning_rate' else name.replace('_', ' ')} {format_value(value)}"
        for name, value in values.items()
    )


def format_value(value: Any) -> str:
    """Format a value: a small number with its power of ten, a list without its brackets."""
    match value:
        case float():
            return format_rate(value)
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(format_value, value))
        case None:
            return "null"
        case _:
            return escape_control(str(value))


def get_parameter_title(sweep: Sweep) -> str:
    """Return a short title of the swept parameter: `rank`, `train examples`, `model`."""
    assert sweep.recipe.sweep is not None, "a sweep has a swept parameter"
    *parents, name = sweep.recipe.sweep.parameter.split(".")
    match parents:
        case [*_, "sizes"]:
            return f"{name} examples"
        case [*_, owner] if name == "name":
            return owner
        case _:
            return name.replace("_", " ")


def format_sweep_value(sweep: Sweep, value: Any) -> str:
    """Format a value of the sweep. A path, such as a model's on the hub, is shortened to its end if that is unique."""
    assert sweep.recipe.sweep is not None, "a sweep has a swept parameter"
    ends = [str(swept).rstrip("/").rpartition("/")[2] for swept in sweep.recipe.sweep.values]
    is_short = isinstance(value, str) and len(set(ends)) == len(ends)
    return format_value(ends[sweep.recipe.sweep.values.index(value)] if is_short else value)


def list_ends(domain: Domain) -> tuple[float, float]:
    """Return the lowest and the highest value of a range, or of a list of numbers to choose from."""
    return (domain.low, domain.high) if isinstance(domain, Range) else (min(domain), max(domain))


def format_range(domain: Domain) -> str:
    """Format a range: `1e-5 to 3e-3`."""
    low, high = list_ends(domain)
    return f"{format_rate(low)} to {format_rate(high)}"
