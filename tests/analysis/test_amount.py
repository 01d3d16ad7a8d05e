"""Amounts over trials: the interval, and when two are the same."""

import math

import numpy as np
import pytest
from scipy import stats

from tuneoff.analysis.amount import (
    Amount,
    are_same,
    estimate_average,
    estimate_median,
    estimate_typical,
    make_exact,
    multiply,
)


def same(first: Amount, second: Amount, tolerance: float = 0.1) -> bool:
    return are_same(first, second, tolerance=tolerance, confidence=0.95)


def test_an_average_has_the_interval_of_scipy() -> None:
    values = [0.1, -0.2, 0.4]
    amount = estimate_average(values, 0.9)
    expected = stats.t.interval(0.9, df=2, loc=np.mean(values), scale=stats.sem(values))
    assert amount.mean == pytest.approx(0.1)
    assert amount.interval == pytest.approx(expected)


def test_a_typical_time_is_the_geometric_mean_with_an_interval_above_zero() -> None:
    amount = estimate_typical([1.0, 100.0], 0.95)
    assert amount.mean == pytest.approx(10)
    assert amount.interval is not None
    assert amount.interval[0] > 0
    assert amount.interval[0] * amount.interval[1] == pytest.approx(100)


@pytest.mark.parametrize("values", [[3.0], [0.0], [0.0, 0.0], [2.0, -1.0]])
def test_one_value_or_values_without_a_logarithm_have_no_interval(values: list[float]) -> None:
    assert estimate_typical(values, 0.95).interval is None


def test_equal_values_keep_their_value_to_the_last_bit_and_show_no_interval() -> None:
    amount = estimate_typical([187.4, 187.4, 187.4], 0.95)
    assert (amount.mean, amount.interval) == (187.4, None)


def test_an_interval_covers_the_typical_time_as_often_as_stated() -> None:
    generator = np.random.default_rng(4)
    covered = []
    for _ in range(2000):
        low, high = estimate_typical(100 * generator.lognormal(0, 0.3, size=3), 0.95).interval or (0, 0)
        covered.append(low <= 100 <= high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_the_median_of_repeats_has_an_interval_that_covers_it() -> None:
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(2000):
        low, high = estimate_median(2 * generator.lognormal(0, 0.1, size=5), 0.95).interval or (0, 0)
        covered.append(low <= 2 <= high)
    assert np.mean(covered) >= 0.94


def test_a_product_is_as_uncertain_as_both_of_its_factors() -> None:
    time, ratio = estimate_typical([90.0, 100.0, 115.0], 0.95), estimate_typical([1.9, 2.0, 2.2], 0.95)
    product = multiply(time, ratio, 0.95)
    assert product.mean == pytest.approx(time.mean * ratio.mean)
    assert product.log_error == pytest.approx(math.hypot(time.log_error or 0, ratio.log_error or 0))
    assert multiply(time, make_exact(1.0), 0.95).interval == pytest.approx(time.interval)
    assert multiply(time, Amount(mean=2.0), 0.95).interval is None


# When two are the same


def test_within_the_tolerance_amounts_are_the_same_however_precise() -> None:
    assert same(estimate_typical([100.0, 100.01], 0.95), estimate_typical([109.0, 109.01], 0.95))
    assert not same(estimate_typical([100.0, 100.01], 0.95), estimate_typical([112.0, 112.01], 0.95))


def test_beyond_the_tolerance_amounts_are_the_same_within_noise() -> None:
    assert same(estimate_typical([80.0, 100.0, 125.0], 0.95), estimate_typical([100.0, 130.0, 150.0], 0.95))


def test_exact_amounts_without_tolerance_are_the_same_only_if_equal() -> None:
    assert same(make_exact(1000), make_exact(1000), tolerance=0)
    assert not same(make_exact(1000), make_exact(1001), tolerance=0)


def test_amounts_measured_once_are_compared_by_the_tolerance_alone() -> None:
    assert same(Amount(mean=100), Amount(mean=110))
    assert not same(Amount(mean=100), Amount(mean=120))


def test_an_amount_measured_once_varies_as_the_other_one_does() -> None:
    noisy, steady = estimate_typical([70.0, 100.0, 140.0], 0.95), estimate_typical([99.0, 100.0, 101.0], 0.95)
    once = Amount(mean=150)
    assert same(noisy, once)
    assert same(once, noisy)
    assert not same(steady, once)


def test_zero_is_the_same_as_zero_only() -> None:
    nothing, some = estimate_typical([0.0], 0.95), estimate_typical([1.0, 3.0], 0.95)
    assert same(nothing, nothing)
    assert not same(nothing, some)


@pytest.mark.parametrize(("seeds", "other_seeds"), [(2, 2), (3, 3), (5, 5), (3, 1)])
def test_noise_is_seldom_taken_for_a_difference_in_cost(seeds: int, other_seeds: int) -> None:
    generator = np.random.default_rng(6)

    def measure(count: int) -> Amount:
        return estimate_typical(100 * generator.lognormal(0, 0.25, size=count), 0.95)

    different = [not same(measure(seeds), measure(other_seeds)) for _ in range(2000)]
    assert np.mean(different) <= 0.06


def test_a_twofold_cost_is_found_with_three_seeds() -> None:
    generator = np.random.default_rng(7)
    found = [
        not same(*(estimate_typical(cost * generator.lognormal(0, 0.1, size=3), 0.95) for cost in (100, 200)))
        for _ in range(500)
    ]
    assert np.mean(found) > 0.95
