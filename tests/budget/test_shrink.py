"""What a budget says, and what a recipe is cut to for it."""

import functools
from collections.abc import Callable
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


def budget(written: Any) -> BudgetOptions:
    found = make_recipe(budget=written).budget
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2h30m", 9000), ("90m", 5400), ("1d", 86_400), ("1.5h", 5400), ("1h 5s", 3605), ("45s", 45)],
)
def test_time_is_written_in_days_hours_minutes_and_seconds(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds
    assert budget(written).compute_total_seconds(0, NOON) == seconds


def test_money_buys_time_at_its_price() -> None:
    assert budget({"money": 12.6, "price_per_hour": 2.1}).compute_total_seconds(0, NOON) == pytest.approx(6 * 3600)


@pytest.mark.parametrize(("until", "seconds"), [("18:30", 6.5 * 3600), ("06:00", 18 * 3600), (1110, 6.5 * 3600)])
def test_a_time_of_day_is_the_next_one_and_comes_on_top_of_what_was_spent(until: str | int, seconds: float) -> None:
    """YAML takes a bare 18:30 for the number 1110."""
    assert budget({"until": until}).compute_total_seconds(100, NOON) == seconds + 100


@pytest.mark.parametrize(
    "written",
    ["soon", "", "0m", "9" * 400 + "d", {"money": float("inf"), "price_per_hour": 1},
     "2h30", "-1h", 90, {}, {"money": 5}, {"money": -5, "price_per_hour": 1}, {"until": "25:00"},
     {"time": "1h", "until": "18:30"}, {"tme": "1h"}],
)  # fmt: skip
def test_what_is_no_budget_is_refused_with_what_would_be(written: Any) -> None:
    with pytest.raises(RecipeError, match="budget"):
        budget(written)


def test_an_override_sets_it() -> None:
    written = apply_overrides(make_recipe().to_dict(), ["budget=2h30m"])
    assert Recipe.read(written).budget == BudgetOptions(time="2h30m")
    written = apply_overrides(make_recipe().to_dict(), ["budget.until=18:30"])
    assert Recipe.read(written).budget == BudgetOptions(until="18:30")


def test_a_written_recipe_has_its_budget_again() -> None:
    recipe = make_recipe(budget={"money": 5, "price_per_hour": 2})
    assert Recipe.read(recipe.to_dict()) == recipe or Recipe.read(recipe.to_dict()).budget == recipe.budget


def test_a_budget_is_no_part_of_a_setting() -> None:
    assert "budget" not in Setting.model_fields


def test_a_study_has_none() -> None:
    with pytest.raises(RecipeError, match="sweep"):
        make_recipe(budget="1h", sweep={"knob": "methods.lora.rank", "values": [1, 2]})


def fair(**changes: Any) -> Recipe:
    whole = {"methods": ["base", "lora"], "training": {"epochs": 2, "batch_size": 4}, "seeds": [1, 2, 3], **changes}
    return make_search_recipe(**whole)


def predicted() -> Callable[[Recipe], float]:
    return lambda recipe: seconds_for(*size(recipe))


@functools.cache  # drawing configurations is dear, and the same few recipes are asked for again and again
def seconds_for(configurations: int, seeds: int) -> float:
    recipe = fair(search={"configurations": configurations}, seeds=[1, 2, 3][:seeds])
    return estimate_cost(recipe, make_data_summary(80), make_probe()).seconds


def size(recipe: Recipe) -> tuple[int, int]:
    return recipe.search.configurations if recipe.search else 0, len(recipe.seeds)


def test_configurations_go_first_and_then_seeds() -> None:
    assert [size(recipe) for recipe in iterate_smaller_recipes(fair())] == [
        (8, 3),
        (7, 3),
        (6, 3),
        (5, 3),
        (4, 3),
        (4, 2),
        (4, 1),
    ]


def test_without_a_search_seeds_alone_go() -> None:
    assert [size(recipe) for recipe in iterate_smaller_recipes(make_recipe(seeds=[5, 6]))] == [(0, 2), (0, 1)]


def test_a_search_below_the_floor_is_left_as_it_is() -> None:
    assert {size(r)[0] for r in iterate_smaller_recipes(fair(search={"configurations": MIN_CONFIGURATIONS - 1}))} == {
        MIN_CONFIGURATIONS - 1
    }


@settings(deadline=None)
@given(st.floats(1, 3000))
def test_what_is_left_never_exceeds_the_budget(seconds: float) -> None:
    left = shrink_to_fit(fair(), seconds, predicted())
    if left is None:
        assert predicted()(get_smallest_recipe(fair())) > (1 - RESERVED_SHARE) * seconds
    else:
        assert predicted()(left) <= (1 - RESERVED_SHARE) * seconds


@settings(deadline=None)
@given(st.floats(1, 3000), st.floats(0, 3000))
def test_more_budget_never_buys_less(seconds: float, more: float) -> None:
    one, other = (shrink_to_fit(fair(), s, predicted()) for s in (seconds, seconds + more))
    assert one is None or (other is not None and size(other) >= size(one) and len(other.seeds) >= len(one.seeds))


@pytest.mark.parametrize("seconds", [1500.0, 2500.0, 4000.0])
def test_methods_are_cut_alike(seconds: float) -> None:
    recipe = fair(methods=["base", "lora", "soft-prompt", "full"])
    measured = make_probe(**{label: make_costs(begin_seconds=i) for i, label in enumerate(recipe.methods)})
    left = shrink_to_fit(recipe, seconds, lambda r: estimate_cost(r, make_data_summary(80), measured).seconds)
    assert left is not None
    entries = estimate_cost(left, make_data_summary(80), measured).entries
    counts = {label: [e.trainings for e in entries if e.label == label] for label in recipe.methods}
    assert counts["lora"] == counts["soft-prompt"] == counts["full"]


def test_what_was_cut_is_said() -> None:
    assert describe_cuts(fair(), fair()) == ()
    assert describe_cuts(fair(), get_smallest_recipe(fair())) == (
        "4 configurations per search instead of 8",
        "seed 1 instead of 1, 2, 3",
    )


def test_the_budget_that_is_named_as_enough_is() -> None:
    needed = predicted()(get_smallest_recipe(fair()))
    assert shrink_to_fit(fair(), parse_duration(format_sufficient_budget(needed)), predicted()) is not None


def fit(**changes: Any) -> Fit:
    """Of the recipe above with a budget of an hour, cut to the smallest."""
    least = get_size(get_smallest_recipe(fair()))
    times = {"whole_seconds": 3600.0, "predicted_seconds": 3000.0, "asked_seconds": 9000.0}
    written = {"budget": {"time": "1h"}, "asked": get_size(fair()), "left": least, "cuts": (), **times, **changes}
    return Fit.model_validate(written)


@pytest.mark.parametrize("change", [{"budget": "2h"}, {"budget": None}, {"seeds": [1, 2, 3, 4]}, {"methods": ["lora"]}])
def test_a_cut_is_kept_for_the_same_budget_and_the_same_recipe_alone(change: dict[str, Any]) -> None:
    assert fit().still_applies(fair(budget="1h"), NOON)
    assert not fit().still_applies(fair(**{"budget": "1h", **change}), NOON)


def test_a_cut_until_a_time_of_day_is_kept_for_that_day() -> None:
    until = fit(budget={"until": "18:30"}, ends=NOON + timedelta(hours=6))
    assert until.still_applies(fair(budget={"until": "18:30"}), NOON)
    assert not until.still_applies(fair(budget={"until": "18:30"}), NOON + timedelta(hours=7))


def test_a_cut_recipe_draws_from_the_same_spaces() -> None:
    left = fit().shrink(fair())
    assert size(left) == (4, 1)
    assert left.get_space("lora") == fair().get_space("lora")
