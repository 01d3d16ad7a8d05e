"""What a comparison may spend: time, money, or until a time of day."""

import math
import re
from datetime import datetime, time, timedelta
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from tuneoff.config.base import Options

UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
DURATION = re.compile(r"(?=\d)" + "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in UNITS))
PLAIN = "write time as 2h30m, 90m or 1d; money as {money: 12.50, price_per_hour: 2.10}; or {until: '18:30'}"


class BudgetOptions(Options):
    """One of the three. Time and money are those of the whole run, whatever it was interrupted by."""

    time: str | None = None  # on the wall: "2h30m"
    money: float | None = Field(None, gt=0, allow_inf_nan=False)  # in the currency of the price
    until: str | None = None  # the next such time of day, on this machine's clock: "18:30"
    price_per_hour: float | None = Field(None, gt=0, allow_inf_nan=False)  # of the machine

    @field_validator("time")
    @classmethod
    def _is_a_duration(cls, written: str | None) -> str | None:
        if written is not None and not 0 < parse_duration(written) < math.inf:
            raise ValueError("a budget of no time buys nothing, and one without an end is none: write one such as 90m")
        return written

    @field_validator("until", mode="before")
    @classmethod
    def _is_a_time_of_day(cls, written: Any) -> Any:  # Any: what a user wrote; YAML takes a bare 18:30 for 1110
        if isinstance(written, int) and not isinstance(written, bool) and 0 <= written < 24 * 60:
            written = "{:02d}:{:02d}".format(*divmod(written, 60))
        if isinstance(written, str):
            try:
                time.fromisoformat(written)
            except ValueError:
                raise ValueError(f"{written!r} is no time of day: write one such as '18:30'") from None
        return written

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(value is not None for value in (self.time, self.money, self.until)) != 1:
            raise ValueError(f"a budget is one of time, money and until: {PLAIN}")
        if self.money is not None and self.price_per_hour is None:
            raise ValueError("money buys time at a price: write price_per_hour beside it")
        return self

    def whole_seconds(self, spent: float, now: datetime) -> float:
        """What the run may take in all, of which `spent` seconds are gone."""
        if self.time is not None:
            return parse_duration(self.time)
        if self.money is not None and self.price_per_hour is not None:
            return 3600 * self.money / self.price_per_hour
        return spent + (self.deadline(now) - now).total_seconds()

    def deadline(self, now: datetime) -> datetime:
        """The next moment of the time of day that it lasts until.

        Raises:
            ValueError: it is a budget of time or money.
        """
        if self.until is None:
            raise ValueError("this budget ends with a sum and not at a time of day")
        today = datetime.combine(now.date(), time.fromisoformat(self.until), tzinfo=now.tzinfo)
        return today if today > now else today + timedelta(days=1)


def parse_duration(written: str) -> float:
    """`2h30m` as 9000.

    Raises:
        ValueError: it is not written so.
    """
    found = DURATION.fullmatch(written.replace(" ", ""))
    if found is None:
        raise ValueError(f"{written!r} is no length of time: {PLAIN}")
    return sum(float(number) * UNITS[unit] for unit, number in found.groupdict().items() if number)


def read_budget(written: Any) -> Any:  # Any: what a user wrote, before it is checked
    """A bare length of time as the mapping that it is short for."""
    if isinstance(written, str):
        return {"time": written}
    if isinstance(written, int | float):
        raise ValueError(f"{written!r} has no unit: {PLAIN}")
    return written
