"""The hyperparameters of a method that a search varies, and the values that each can take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tuneoff.config.base import Options

DIGITS = 3  # significant digits of a drawn number; more would suggest a precision that the search does not have


class Range(Options):
    """All numbers from `low` to `high`, sampled uniformly on a log scale; integers if both ends are integers."""

    low: int | float = Field(gt=0, allow_inf_nan=False)
    """The smallest value."""
    high: int | float = Field(gt=0, allow_inf_nan=False)
    """The largest value."""

    @model_validator(mode="after")
    def _require_low_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, and {self.low:g} is not below {self.high:g}")
        return self

    def interpolate(self, fraction: float) -> int | float:
        """Return the value at a fraction, from 0 to 1, of the way from `low` to `high`."""
        return self.round(math.exp(math.log(self.low) + fraction * math.log(self.high / self.low)))

    def multiply(self, multiple: float) -> Self:
        """Return the range with both ends multiplied."""
        return type(self)(low=round_number(self.low * multiple), high=round_number(self.high * multiple))

    def round(self, value: float) -> int | float:
        """Round to a whole number if both ends are whole, else to `DIGITS` significant digits."""
        is_whole = isinstance(self.low, int) and isinstance(self.high, int)
        return round(value) if is_whole else round_number(value)


def round_number(value: float) -> float:
    """Round to `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")


Choices = Annotated[tuple[Any, ...], Field(min_length=1)]  # Any: the method's field checks each value
Domain = Range | Choices
Space = Mapping[str, Domain]
