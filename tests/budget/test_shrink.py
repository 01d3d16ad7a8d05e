"""How a recipe is reduced to fit its budget."""

import functools
import random
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
    drop_methods,
    format_sufficient_budget,
    get_size,
    get_smallest_recipe,
    iterate_smaller_recipes,
    propose_drops,
    shrink_to_fit,
)
from tuneoff.config.budget import parse_duration
from tuneoff.recipe.recipe import Recipe

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


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
    assert counts == [(8, 3), (7, 3), (6, 3), (5, 3), (4, 3), (4, 2)]


def test_without_a_search_only_seeds_are_reduced() -> None:
    counts = [get_counts(recipe) for recipe in iterate_smaller_recipes(make_recipe(seeds=[5, 6, 7, 8]))]
    assert counts == [(0, 4), (0, 3), (0, 2)]


@pytest.mark.parametrize("seeds", [[5], [5, 6]])
def test_a_budget_neither_adds_a_seed_nor_cuts_below_two(seeds: list[int]) -> None:
    assert [recipe.seeds for recipe in iterate_smaller_recipes(make_recipe(seeds=seeds))] == [tuple(seeds)]


def test_replicates_are_reduced_like_seeds() -> None:
    sampled = {"data": {"source": "aclsum", "sizes": {"train": 20}}, "replicates": 4}
    recipe = Recipe.read({name: v for name, v in make_recipe().to_dict().items() if name != "seeds"} | sampled)
    assert [(r.replicates, r.seeds) for r in iterate_smaller_recipes(recipe)] == [
        (4, (1, 2, 3, 4)),
        (3, (1, 2, 3)),
        (2, (1, 2)),
    ]
    assert describe_cuts(recipe, get_smallest_recipe(recipe)) == ("2 replicates instead of 4",)


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


@pytest.mark.parametrize("seconds", [3000.0, 3600.0, 4000.0])
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
        "seeds 1, 2 instead of 1, 2, 3",
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
    assert get_counts(reduced) == (4, 2)
    assert reduced.get_space("lora") == make_full_recipe().get_space("lora")


def test_a_stored_reduction_to_one_seed_is_made_again() -> None:
    """Earlier versions cut to one seed."""
    one_seed = get_size(make_full_recipe(seeds=[1]))
    assert not make_fit(left=one_seed).still_applies(make_full_recipe(budget="1h"), NOON)
    assert make_fit(left=one_seed, asked=one_seed).still_applies(make_full_recipe(budget="1h", seeds=[1]), NOON)


def test_a_method_that_is_left_out_is_not_searched_either() -> None:
    spaces = {"lora": {"rank": [2, 4]}, "full": {"learning_rate": [1e-4, 1e-5]}}
    recipe = make_full_recipe(methods=["base", "lora", "full"], search={"spaces": spaces})
    left = drop_methods(recipe, {"full"})
    assert list(left.methods) == ["base", "lora"]
    assert Recipe.read(left.to_dict()).get_space("lora") == recipe.get_space("lora")


def test_the_fewest_methods_are_proposed_and_the_cheapest_that_suffice() -> None:
    seconds = {"full": 100.0, "lora": 40.0, "dora": 60.0, "soft-prompt": 50.0}
    assert propose_drops(seconds, 55.0, keep=1) == ("dora",)
    assert propose_drops(seconds, 30.0, keep=1) == ("lora",)
    assert propose_drops(seconds, 145.0, keep=1) == ("full", "soft-prompt")
    assert propose_drops(seconds, 200.0, keep=1) == ("full", "dora", "lora")
    assert propose_drops(seconds, 200.0, keep=2) == ()
    assert propose_drops(seconds, 999.0, keep=1) == ()


def test_what_is_proposed_makes_the_plan_fit_and_one_method_less_would_not() -> None:
    generator = random.Random(0)
    for _ in range(300):
        seconds = {f"m{i}": generator.uniform(1, 100) for i in range(generator.randint(2, 8))}
        excess = generator.uniform(0.1, 300)
        proposed = propose_drops(seconds, excess, keep=1)
        largest = sorted(seconds.values(), reverse=True)
        if proposed:
            assert len(proposed) < len(seconds)
            assert sum(seconds[label] for label in proposed) >= excess
            assert sum(largest[: len(proposed) - 1]) < excess
        else:
            assert sum(largest[:-1]) < excess
