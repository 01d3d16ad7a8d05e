"""The knobs of a method that a search varies, and the values that each may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tuneoff.config.base import Options

DIGITS = 3  # of a drawn number: more would look like knowledge


class Range(Options):
    """All numbers from `low` to `high`, drawn evenly on a logarithmic scale; whole ones if both ends are."""

    low: int | float = Field(gt=0, allow_inf_nan=False)
    high: int | float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, and {self.low:g} is not below {self.high:g}")
        return self

    def at(self, share: float) -> int | float:
        """The value at a share of the way from `low` to `high`, from 0 to 1."""
        return self.rounded(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))

    def rounded(self, value: float) -> int | float:
        """The value as it is written and used: a whole number, or one of few digits."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return round(value) if whole else float(f"{value:.{DIGITS}g}")


Choices = Annotated[tuple[Any, ...], Field(min_length=1)]  # Any: a method's field says what each may be
Knob = Range | Choices
Space = Mapping[str, Knob]
