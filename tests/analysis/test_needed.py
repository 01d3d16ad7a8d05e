"""How many seeds or examples would decide a pair: the promise is kept about as often as it says."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.verdict.planning import MORE_EXAMPLES, MORE_SEEDS, Followed, Pilot, follow_pilots
from tuneoff.analysis.needed import POWER, compute_power

PILOTS = 30


def follow(pilot: Pilot, *, spread: float, methods: int) -> tuple[list[Followed], int, int]:
    return follow_pilots(np.random.default_rng(1), pilot, spread=spread, pilots=PILOTS, methods=methods)


@pytest.mark.parametrize("methods", [2, 4])
def test_further_examples_decide_a_pair_about_as_often_as_stated(methods: int) -> None:
    followed, _, _ = follow(MORE_EXAMPLES, spread=1.0, methods=methods)
    assert len(followed) > 5
    assert np.mean([pilot.chance for pilot in followed]) == pytest.approx(POWER, abs=0.05)
    assert 0.6 < np.mean([pilot.is_decided for pilot in followed]) < 0.98


def test_further_seeds_decide_a_pair_of_different_methods_about_as_often_as_stated() -> None:
    followed, decided, without = follow(MORE_SEEDS, spread=3.0, methods=4)
    assert len(followed) + decided + without == PILOTS
    assert 0.5 < np.mean([pilot.is_decided for pilot in followed]) <= 1.0


def test_where_runs_of_equal_methods_differ_by_more_than_the_margin_hardly_any_number_of_seeds_is_promised() -> None:
    followed, _, without = follow(MORE_SEEDS, spread=0.0, methods=4)
    assert without > 0.9 * PILOTS
    assert len(followed) < 0.1 * PILOTS


def test_the_power_is_that_of_the_normal_distribution_if_the_variance_is_known() -> None:
    assert compute_power(4.0, math.inf, 6.0, 1.96) == pytest.approx(norm.sf(1.96 - 3))


def test_the_power_is_that_of_simulated_t_tests() -> None:
    generator = np.random.default_rng(1)
    means = generator.normal(3, 1, size=20_000)
    deviations = np.sqrt(generator.chisquare(4, size=20_000) / 4)
    assert compute_power(1.0, 4.0, 3.0, 2.776) == pytest.approx(np.mean(means / deviations > 2.776), abs=0.015)


def test_without_noise_every_difference_is_found() -> None:
    assert compute_power(0.0, 3.0, 0.1, 2.0) == 1.0
