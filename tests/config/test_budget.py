"""How a budget is written in a recipe."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.samples import make_recipe
from tuneoff.config.budget import BudgetOptions, parse_duration
from tuneoff.errors import RecipeError
from tuneoff.recipe.loading import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Setting

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def read_budget(written: Any) -> BudgetOptions:
    budget = make_recipe(budget=written).budget
    assert budget is not None
    return budget


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2h30m", 9000), ("90m", 5400), ("1d", 86_400), ("1.5h", 5400), ("1h 5s", 3605), ("45s", 45)],
)
def test_a_time_budget_is_written_in_days_hours_minutes_and_seconds(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds
    assert read_budget(written).compute_total_seconds(0, NOON) == seconds


def test_a_money_budget_is_the_time_it_buys() -> None:
    assert read_budget({"money": 12.6, "price_per_hour": 2.1}).compute_total_seconds(0, NOON) == pytest.approx(6 * 3600)


@pytest.mark.parametrize(("until", "seconds"), [("18:30", 6.5 * 3600), ("06:00", 18 * 3600), (1110, 6.5 * 3600)])
def test_a_time_of_day_is_the_next_one_and_earlier_processes_do_not_count_against_it(
    until: str | int, seconds: float
) -> None:
    """YAML reads an unquoted 18:30 as the number 1110."""
    assert read_budget({"until": until}).compute_total_seconds(100, NOON) == seconds + 100


@pytest.mark.parametrize(
    ("zone", "until", "hours"),
    [
        ("Europe/Berlin", "06:00", 13),  # on the night that has the hour from 2 to 3 twice
        ("Europe/Berlin", "02:30", 8.5),  # the first of the two
        ("UTC", "06:00 Europe/Berlin", 13),
        ("America/New_York", "05:00Z", 13),
        ("UTC", "06:00+02:00", 12),
        ("UTC", "06:00 Asia/Kolkata", 8.5),
    ],
)
def test_a_time_of_day_is_right_over_the_end_of_summer_time_and_in_other_zones(
    zone: str, until: str, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        now = datetime(2026, 10, 24, 16, tzinfo=UTC).astimezone()  # 18:00 in Berlin
        assert read_budget({"until": until}).compute_total_seconds(0, now) == 3600 * hours
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_that_the_clock_skips_is_the_first_moment_after_it() -> None:
    now = datetime(2026, 3, 28, 18, tzinfo=UTC)
    assert read_budget({"until": "02:30 Europe/Berlin"}).compute_total_seconds(0, now) == 3600 * 7.5


def test_the_second_of_two_equal_times_is_the_next_one_if_the_first_is_over() -> None:
    now = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)  # 02:45 in Berlin, for the first time
    assert read_budget({"until": "02:30 Europe/Berlin"}).compute_total_seconds(0, now) == 45 * 60


@pytest.mark.parametrize(
    "written",
    ["soon", "", "0m", "9" * 400 + "d", {"money": float("inf"), "price_per_hour": 1},
     "2h30", "-1h", 90, {}, {"money": 5}, {"money": -5, "price_per_hour": 1}, {"until": "25:00"},
     {"time": "1h", "until": "18:30"}, {"money": 5, "price_per_hour": 1e-320}, {"money": 1e-9, "price_per_hour": 9},
     {"until": "18:30 Mars/Olympus"}, {"until": "18:30Z UTC"}, "40000d", {"tme": "1h"}],
)  # fmt: skip
def test_an_invalid_budget_is_refused(written: Any) -> None:
    with pytest.raises(RecipeError, match="budget"):
        read_budget(written)


def test_an_override_sets_the_budget() -> None:
    written = apply_overrides(make_recipe().to_dict(), ["budget=2h30m"])
    assert Recipe.read(written).budget == BudgetOptions(time="2h30m")
    written = apply_overrides(make_recipe().to_dict(), ["budget.until=18:30"])
    assert Recipe.read(written).budget == BudgetOptions(until="18:30")


def test_a_recipe_keeps_its_budget_when_it_is_written_and_read() -> None:
    recipe = make_recipe(budget={"money": 5, "price_per_hour": 2})
    assert Recipe.read(recipe.to_dict()).budget == recipe.budget


def test_a_budget_is_not_part_of_a_setting() -> None:
    assert "budget" not in Setting.model_fields


def test_a_sweep_has_no_budget() -> None:
    with pytest.raises(RecipeError, match="sweep"):
        make_recipe(budget="1h", sweep={"parameter": "methods.lora.rank", "values": [1, 2]})
