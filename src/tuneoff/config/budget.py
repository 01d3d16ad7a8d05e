"""How much a comparison may spend: time, money, or the time until an hour of the day."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from tuneoff.config.base import Options

UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}  # in seconds
DURATION = re.compile(r"(?=\d)" + "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in UNITS))
LONGEST_SECONDS = 100 * 365 * UNITS["d"]
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
    """The next occurrence of a time of day on this machine's clock, such as `'18:30'`, or in a time zone, such as
    `'18:30 Europe/Berlin'`."""
    price_per_hour: float | None = Field(None, gt=0, allow_inf_nan=False)
    """The price of an hour of this machine. Required with `money`."""

    @field_validator("time")
    @classmethod
    def _require_finite_duration(cls, duration: str | None) -> str | None:
        if duration is not None and not 0 < parse_duration(duration) <= LONGEST_SECONDS:
            raise ValueError("a budget must be longer than zero and at most 100 years: write a duration such as 90m")
        return duration

    @field_validator("until", mode="before")
    @classmethod
    def _read_time_of_day(cls, value: Any) -> Any:  # Any: unchecked user input; YAML 1.1 reads a bare 18:30 as 1110
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
            value = "{:02d}:{:02d}".format(*divmod(value, 60))
        if isinstance(value, str):
            try:
                parse_time_of_day(value)
            except ValueError as error:
                raise ValueError(
                    f"{value!r} is not a time of day ({error}): write one such as '18:30' or '18:30 Europe/Berlin'"
                ) from None
        return value

    @model_validator(mode="after")
    def _require_exactly_one(self) -> Self:
        if sum(value is not None for value in (self.time, self.money, self.until)) != 1:
            raise ValueError(f"a budget is exactly one of time, money and until: {EXAMPLES}")
        if self.money is not None and self.price_per_hour is None:
            raise ValueError("a budget in money needs the price of the machine: add price_per_hour")
        if self.money is not None and self.price_per_hour is not None:
            _require_sensible_price(self.money, self.price_per_hour)
        return self

    def compute_total_seconds(self, spent: float, now: datetime) -> float:
        """Return how many seconds the run may take in total, including the `spent` seconds already used."""
        if self.time is not None:
            return parse_duration(self.time)
        if self.money is not None and self.price_per_hour is not None:
            return 3600 * self.money / self.price_per_hour
        return spent + (self.compute_deadline(now) - now).total_seconds()

    def compute_deadline(self, now: datetime) -> datetime:
        """Return the next moment at which the clock shows `until`, also where summer time begins or ends before it.

        Raises:
            ValueError: the budget is one of time or money.
        """
        if self.until is None:
            raise ValueError("a budget of time or money has no deadline")
        clock, zone = parse_time_of_day(self.until)
        today = now.astimezone(zone).date()
        moments = [
            moment
            for day in range(3)
            for fold in (0, 1)
            if (moment := _find_moment(datetime.combine(today + timedelta(days=day), clock, zone), fold)) > now
        ]
        return min(moments).astimezone(now.tzinfo)


def _find_moment(clock: datetime, fold: int) -> datetime:
    """Return when a clock shows a time, by UTC: the second time of two if `fold` is 1.

    A clock that is put forward never shows some times, and then the first moment after them counts.
    """
    moments = [clock.replace(fold=each).astimezone(UTC) for each in (0, 1)]  # without a zone: this machine's
    shown = [moment.astimezone(clock.tzinfo).replace(tzinfo=None, fold=0) for moment in moments]
    return moments[fold] if shown[fold] == clock.replace(tzinfo=None, fold=0) else moments[0]


def _require_sensible_price(money: float, price_per_hour: float) -> None:
    seconds = 3600 * money / price_per_hour
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise ValueError(
            f"{money:g} at {price_per_hour:g} per hour is a budget of {seconds:.3g} seconds, which is "
            f"{'less than a second' if seconds < 1 else 'more than 100 years'}: check money and price_per_hour"
        )


def parse_time_of_day(text: str) -> tuple[time, tzinfo | None]:
    """Return a time of day and its zone: `18:30`, `18:30+02:00`, `18:30Z` or `18:30 Europe/Berlin`.

    Raises:
        ValueError: the text is not a time of day, or there is no such zone.
    """
    clock_text, _, zone_name = text.strip().partition(" ")
    clock = time.fromisoformat(clock_text)
    if not zone_name:
        return clock.replace(tzinfo=None), clock.tzinfo
    if clock.tzinfo is not None:
        raise ValueError("it has two time zones")
    try:
        return clock, ZoneInfo(zone_name.strip())
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"there is no time zone {zone_name.strip()!r}") from error


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
