"""How much a comparison may spend: time, money, or the time until an hour of the day."""

import math
import re
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from tuneoff.config.base import Options

UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}  # in seconds
DURATION = re.compile(r"(?=\d)" + "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in UNITS))
EXAMPLES = "write time as 2h30m, 90m or 1d; money as {money: 12.50, price_per_hour: 2.10}; or {until: '18:30'}"

Duration = Annotated[
    str, Field(json_schema_extra={"pattern": r"^( *\d+(\.\d+)? *[dhms])+ *$", "examples": ["2h30m", "90m", "1d"]})
]


class BudgetOptions(Options):
    """One of `time`, `money` and `until`. Time and money are for the whole run, including its interrupted attempts."""

    time: Duration | None = None
    """Wall-clock time, such as `2h30m`."""
    money: float | None = Field(None, gt=0, allow_inf_nan=False)
    """An amount of money, in the currency of `price_per_hour`."""
    until: str | None = None
    """The next occurrence of a time of day on this machine's clock, such as `'18:30'`."""
    price_per_hour: float | None = Field(None, gt=0, allow_inf_nan=False)
    """The price of an hour of this machine. Required with `money`."""

    @field_validator("time")
    @classmethod
    def _require_finite_duration(cls, duration: str | None) -> str | None:
        if duration is not None and not 0 < parse_duration(duration) < math.inf:
            raise ValueError("a budget must be longer than zero and finite: write a duration such as 90m")
        return duration

    @field_validator("until", mode="before")
    @classmethod
    def _read_time_of_day(cls, value: Any) -> Any:  # Any: unchecked user input; YAML 1.1 reads a bare 18:30 as 1110
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
            value = "{:02d}:{:02d}".format(*divmod(value, 60))
        if isinstance(value, str):
            try:
                time.fromisoformat(value)
            except ValueError:
                raise ValueError(f"{value!r} is not a time of day: write one such as '18:30'") from None
        return value

    @model_validator(mode="after")
    def _require_exactly_one(self) -> Self:
        if sum(value is not None for value in (self.time, self.money, self.until)) != 1:
            raise ValueError(f"a budget is exactly one of time, money and until: {EXAMPLES}")
        if self.money is not None and self.price_per_hour is None:
            raise ValueError("a budget in money needs the price of the machine: add price_per_hour")
        return self

    def compute_total_seconds(self, spent: float, now: datetime) -> float:
        """Return how many seconds the run may take in total, including the `spent` seconds already used."""
        if self.time is not None:
            return parse_duration(self.time)
        if self.money is not None and self.price_per_hour is not None:
            return 3600 * self.money / self.price_per_hour
        return spent + (self.compute_deadline(now) - now).total_seconds()

    def compute_deadline(self, now: datetime) -> datetime:
        """Return the next moment at which the clock shows `until`.

        Raises:
            ValueError: the budget is one of time or money.
        """
        if self.until is None:
            raise ValueError("a budget of time or money has no deadline")
        today = datetime.combine(now.date(), time.fromisoformat(self.until), tzinfo=now.tzinfo)
        return today if today > now else today + timedelta(days=1)


def parse_duration(text: str) -> float:
    """Convert a duration such as `2h30m` to seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    match = DURATION.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(f"{text!r} is not a duration: {EXAMPLES}")
    return sum(float(number) * UNITS[unit] for unit, number in match.groupdict().items() if number)


def read_budget(value: Any) -> Any:  # Any: unchecked user input
    """Expand a bare duration to the mapping that it stands for. Everything else is returned unchanged."""
    if isinstance(value, str):
        return {"time": value}
    if isinstance(value, int | float):
        raise ValueError(f"{value!r} has no unit: {EXAMPLES}")
    return value
