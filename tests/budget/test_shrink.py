"""How a budget is written, and how a recipe is reduced to fit it."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.budget.samples import make_costs, make_probe
from tests.samples import make_data_summary, make_recipe, make_search_recipe
from tuneoff.budget.estimate import estimate_cost
from tuneoff.budget.shrink import (
    MIN_CONFIGURATIONS,
    RESERVED_SHARE,
    Fit,
    describe_cuts,
    format_sufficient_budget,
    get_size,
    get_smallest_recipe,
    iterate_smaller_recipes,
    shrink_to_fit,
)
from tuneoff.config.budget import BudgetOptions, parse_duration
from tuneoff.errors import RecipeError
from tuneoff.recipe.overrides import apply_overrides
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
    "written",
    ["soon", "", "0m", "9" * 400 + "d", {"money": float("inf"), "price_per_hour": 1},
     "2h30", "-1h", 90, {}, {"money": 5}, {"money": -5, "price_per_hour": 1}, {"until": "25:00"},
     {"time": "1h", "until": "18:30"}, {"tme": "1h"}],
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


def make_full_recipe(**changes: Any) -> Recipe:
    """Return a recipe with eight configurations and three seeds."""
    written = {"methods": ["base", "lora"], "training": {"epochs": 2, "batch_size": 4}, "seeds": [1, 2, 3], **changes}
    return make_search_recipe(**written)


def estimate_seconds(recipe: Recipe) -> float:
    return compute_seconds(*get_counts(recipe))


@functools.cache  # drawing configurations is slow, and hypothesis uses the same few recipes many times
def compute_seconds(configurations: int, seeds: int) -> float:
    recipe = make_full_recipe(search={"configurations": configurations}, seeds=[1, 2, 3][:seeds])
    return estimate_cost(recipe, make_data_summary(80), make_probe()).seconds


def get_counts(recipe: Recipe) -> tuple[int, int]:
    """Return the numbers of configurations and seeds."""
    return recipe.search.configurations if recipe.search else 0, len(recipe.seeds)


def test_configurations_are_reduced_first_and_then_seeds() -> None:
    counts = [get_counts(recipe) for recipe in iterate_smaller_recipes(make_full_recipe())]
    assert counts == [(8, 3), (7, 3), (6, 3), (5, 3), (4, 3), (4, 2), (4, 1)]


def test_without_a_search_only_seeds_are_reduced() -> None:
    assert [get_counts(recipe) for recipe in iterate_smaller_recipes(make_recipe(seeds=[5, 6]))] == [(0, 2), (0, 1)]


def test_a_search_below_the_minimum_is_not_reduced() -> None:
    recipe = make_full_recipe(search={"configurations": MIN_CONFIGURATIONS - 1})
    assert {get_counts(smaller)[0] for smaller in iterate_smaller_recipes(recipe)} == {MIN_CONFIGURATIONS - 1}


@settings(deadline=None)
@given(st.floats(1, 3000))
def test_a_reduced_recipe_never_exceeds_the_budget(seconds: float) -> None:
    reduced = shrink_to_fit(make_full_recipe(), seconds, estimate_seconds)
    if reduced is None:
        assert estimate_seconds(get_smallest_recipe(make_full_recipe())) > (1 - RESERVED_SHARE) * seconds
    else:
        assert estimate_seconds(reduced) <= (1 - RESERVED_SHARE) * seconds


@settings(deadline=None)
@given(st.floats(1, 3000), st.floats(0, 3000))
def test_a_larger_budget_never_gives_a_smaller_recipe(seconds: float, more: float) -> None:
    smaller, larger = (shrink_to_fit(make_full_recipe(), s, estimate_seconds) for s in (seconds, seconds + more))
    assert smaller is None or (
        larger is not None and get_counts(larger) >= get_counts(smaller) and len(larger.seeds) >= len(smaller.seeds)
    )


@pytest.mark.parametrize("seconds", [1500.0, 2500.0, 4000.0])
def test_every_method_is_reduced_by_the_same_amount(seconds: float) -> None:
    recipe = make_full_recipe(methods=["base", "lora", "soft-prompt", "full"])
    probe = make_probe(**{label: make_costs(begin_seconds=i) for i, label in enumerate(recipe.methods)})
    reduced = shrink_to_fit(recipe, seconds, lambda r: estimate_cost(r, make_data_summary(80), probe).seconds)
    assert reduced is not None
    entries = estimate_cost(reduced, make_data_summary(80), probe).entries
    counts = {label: [e.trainings for e in entries if e.label == label] for label in recipe.methods}
    assert counts["lora"] == counts["soft-prompt"] == counts["full"]


def test_each_reduction_is_described() -> None:
    assert describe_cuts(make_full_recipe(), make_full_recipe()) == ()
    assert describe_cuts(make_full_recipe(), get_smallest_recipe(make_full_recipe())) == (
        "4 configurations per search instead of 8",
        "seed 1 instead of 1, 2, 3",
    )


def test_the_budget_reported_as_sufficient_is_sufficient() -> None:
    needed_seconds = estimate_seconds(get_smallest_recipe(make_full_recipe()))
    budget_seconds = parse_duration(format_sufficient_budget(needed_seconds))
    assert shrink_to_fit(make_full_recipe(), budget_seconds, estimate_seconds) is not None


def make_fit(**changes: Any) -> Fit:
    """Return the fit of the full recipe, reduced to the smallest one, to a budget of an hour."""
    written = {
        "budget": {"time": "1h"},
        "asked": get_size(make_full_recipe()),
        "left": get_size(get_smallest_recipe(make_full_recipe())),
        "cuts": (),
        "whole_seconds": 3600.0,
        "predicted_seconds": 3000.0,
        "asked_seconds": 9000.0,
    }
    return Fit.model_validate({**written, **changes})


@pytest.mark.parametrize("change", [{"budget": "2h"}, {"budget": None}, {"seeds": [1, 2, 3, 4]}, {"methods": ["lora"]}])
def test_a_reduction_applies_only_to_the_same_budget_and_recipe(change: dict[str, Any]) -> None:
    assert make_fit().still_applies(make_full_recipe(budget="1h"), NOON)
    assert not make_fit().still_applies(make_full_recipe(**{"budget": "1h", **change}), NOON)


def test_a_reduction_for_a_time_of_day_applies_until_that_time() -> None:
    fit = make_fit(budget={"until": "18:30"}, ends=NOON + timedelta(hours=6))
    assert fit.still_applies(make_full_recipe(budget={"until": "18:30"}), NOON)
    assert not fit.still_applies(make_full_recipe(budget={"until": "18:30"}), NOON + timedelta(hours=7))


def test_a_reduced_recipe_searches_the_same_spaces() -> None:
    reduced = make_fit().shrink(make_full_recipe())
    assert get_counts(reduced) == (4, 1)
    assert reduced.get_space("lora") == make_full_recipe().get_space("lora")
