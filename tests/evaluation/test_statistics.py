"""Intervals over examples."""

import numpy as np
import pytest

from tuneoff.evaluation.statistics import ratio_of_sums


def test_the_mean_is_the_ratio_of_the_sums_not_the_mean_of_ratios() -> None:
    assert ratio_of_sums([1.0, 9.0], [1.0, 3.0]).mean == 2.5


def test_the_interval_of_a_plain_mean_is_about_two_standard_errors_wide() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    found = ratio_of_sums(values.tolist(), [1.0] * 400)
    error = values.std(ddof=1) / 20
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.05
    )


def test_the_same_numbers_give_the_same_interval() -> None:
    values = [0.1, 0.5, 0.9, 0.3]
    assert ratio_of_sums(values, [1.0] * 4) == ratio_of_sums(values, [1.0] * 4)


def test_equal_numbers_have_an_interval_of_no_width() -> None:
    found = ratio_of_sums([2.0] * 5, [1.0] * 5)
    assert (found.low, found.high) == (2.0, 2.0)


def test_one_example_claims_no_interval() -> None:
    found = ratio_of_sums([3.0], [2.0])
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)
