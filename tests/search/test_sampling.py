"""Configurations come from a seeded design, or from a sampler that learns from earlier scores."""

import math

import pytest

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range, Space
from tuneoff.search.sampling import draw_configurations, suggest_configuration

RATES: Space = {"learning_rate": Range(low=1e-5, high=1e-1)}
WIDE: Space = {**RATES, "rank": (4, 8, 16), "tokens": Range(low=1, high=100)}
QUASI_RANDOM, RANDOM = SearchOptions(), SearchOptions(sampler="random")


def test_a_design_is_the_same_for_the_same_seed_and_another_for_another_seed() -> None:
    assert draw_configurations(WIDE, QUASI_RANDOM, 6, seed=1) == draw_configurations(WIDE, QUASI_RANDOM, 6, seed=1)
    assert draw_configurations(WIDE, QUASI_RANDOM, 6, seed=1) != draw_configurations(WIDE, QUASI_RANDOM, 6, seed=2)


@pytest.mark.parametrize("options", [QUASI_RANDOM, RANDOM])
def test_a_longer_design_starts_with_the_shorter_one(options: SearchOptions) -> None:
    assert draw_configurations(WIDE, options, 9, seed=0)[:4] == draw_configurations(WIDE, options, 4, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_a_quasi_random_design_of_eight_has_one_rate_in_each_eighth_of_the_range(seed: int) -> None:
    rates = [values["learning_rate"] for values in draw_configurations(WIDE, QUASI_RANDOM, 8, seed)]
    parts = sorted(math.floor(2 * (math.log10(rate) + 5) + 1e-3) for rate in rates)
    assert parts == list(range(8))


def test_the_learning_rates_do_not_depend_on_the_other_hyperparameters() -> None:
    rates_alone = [values["learning_rate"] for values in draw_configurations(RATES, QUASI_RANDOM, 8, seed=3)]
    rates_with_rank = [
        values["learning_rate"] for values in draw_configurations({"rank": (1, 2), **RATES}, QUASI_RANDOM, 8, seed=3)
    ]
    assert rates_alone == rates_with_rank


def test_a_range_of_whole_numbers_gives_integers_and_choices_stay_unchanged() -> None:
    for values in draw_configurations(WIDE, RANDOM, 30, seed=0):
        assert isinstance(values["tokens"], int)
        assert values["rank"] in (4, 8, 16)


def test_a_small_space_gives_each_of_its_configurations_once() -> None:
    values = draw_configurations({"rank": (1, 2), "init": ("a", "b")}, RANDOM, 8, seed=0)
    assert sorted(map(str, values)) == sorted(
        str({"rank": rank, "init": init}) for rank in (1, 2) for init in ("a", "b")
    )


def test_an_empty_space_has_one_configuration() -> None:
    assert draw_configurations({}, QUASI_RANDOM, 8, seed=0) == [{}]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_an_adaptive_sampler_approaches_the_best_and_repeats_its_suggestions(sampler: str) -> None:
    options = SearchOptions(sampler=sampler, configurations=10)  # type: ignore[arg-type]
    history = []
    for _ in range(14):
        values = suggest_configuration([RATES] * 15, options, history)
        history.append((values, abs(math.log10(values["learning_rate"]) + 3)))
    learned_scores = [score for _, score in history[5:]]
    assert min(learned_scores) < 0.25
    assert suggest_configuration([RATES] * 15, options, history[:9]) == history[9][0]


def test_an_adaptive_sampler_avoids_rates_that_diverged() -> None:
    options = SearchOptions(sampler="tpe", configurations=6)
    history = [({"learning_rate": rate}, None if rate > 1e-3 else 1.0) for rate in (1e-5, 1e-4, 1e-2, 1e-1, 2e-2)]
    assert suggest_configuration([RATES] * 6, options, history)["learning_rate"] < 1e-2
