"""Configurations come from a seeded design, or from a sampler that learns."""

import math

import pytest

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range, Space
from tuneoff.search.sampling import draw_configurations, suggest_configuration

RATES: Space = {"learning_rate": Range(low=1e-5, high=1e-1)}
WIDE: Space = {**RATES, "rank": (4, 8, 16), "tokens": Range(low=1, high=100)}
QUASI, RANDOM = SearchOptions(), SearchOptions(sampler="random")


def test_a_design_repeats_itself_and_another_seed_is_another_design() -> None:
    assert draw_configurations(WIDE, QUASI, 6, seed=1) == draw_configurations(WIDE, QUASI, 6, seed=1)
    assert draw_configurations(WIDE, QUASI, 6, seed=1) != draw_configurations(WIDE, QUASI, 6, seed=2)


@pytest.mark.parametrize("options", [QUASI, RANDOM])
def test_more_draws_begin_with_the_fewer(options: SearchOptions) -> None:
    assert draw_configurations(WIDE, options, 9, seed=0)[:4] == draw_configurations(WIDE, options, 4, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_a_quasi_random_design_has_one_rate_in_each_of_as_many_parts_of_the_range(seed: int) -> None:
    rates = [values["learning_rate"] for values in draw_configurations(WIDE, QUASI, 8, seed)]
    parts = sorted(math.floor(2 * (math.log10(rate) + 5) + 1e-3) for rate in rates)
    assert parts == list(range(8))


def test_methods_with_other_knobs_try_the_same_places_of_their_ranges() -> None:
    alone = [values["learning_rate"] for values in draw_configurations(RATES, QUASI, 8, seed=3)]
    among = [values["learning_rate"] for values in draw_configurations({"rank": (1, 2), **RATES}, QUASI, 8, seed=3)]
    assert alone == among


def test_a_whole_number_is_drawn_as_one_and_choices_as_they_are() -> None:
    for values in draw_configurations(WIDE, RANDOM, 30, seed=0):
        assert isinstance(values["tokens"], int)
        assert values["rank"] in (4, 8, 16)


def test_a_space_of_few_choices_is_drawn_without_repetition_until_it_is_used_up() -> None:
    values = draw_configurations({"rank": (1, 2), "init": ("a", "b")}, RANDOM, 8, seed=0)
    assert sorted(map(str, values)) == sorted(
        str({"rank": rank, "init": init}) for rank in (1, 2) for init in ("a", "b")
    )


def test_nothing_to_draw_is_one_configuration() -> None:
    assert draw_configurations({}, QUASI, 8, seed=0) == [{}]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_an_adaptive_sampler_comes_near_the_best_and_repeats_itself(sampler: str) -> None:
    options = SearchOptions(sampler=sampler, configurations=10)  # type: ignore[arg-type]
    told = []
    for _ in range(14):
        values = suggest_configuration([RATES] * 15, options, told)
        told.append((values, abs(math.log10(values["learning_rate"]) + 3)))
    learnt = [score for _, score in told[5:]]
    assert min(learnt) < 0.25
    assert suggest_configuration([RATES] * 15, options, told[:9]) == told[9][0]


def test_a_diverged_configuration_is_told_as_the_worst() -> None:
    options = SearchOptions(sampler="tpe", configurations=6)
    told = [({"learning_rate": rate}, None if rate > 1e-3 else 1.0) for rate in (1e-5, 1e-4, 1e-2, 1e-1, 2e-2)]
    assert suggest_configuration([RATES] * 6, options, told)["learning_rate"] < 1e-2
