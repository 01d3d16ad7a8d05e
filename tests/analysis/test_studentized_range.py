"""The studentized range, against scipy and against closed forms where scipy is wrong."""

import math

import pytest
from scipy import stats

from tuneoff.analysis.studentized_range import compute_quantile, compute_tail


@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.9999])
@pytest.mark.parametrize(("methods", "freedom"), [(3, 1.5), (4, 7), (8, 120), (30, math.inf), (12, 3)])
def test_a_quantile_is_that_of_scipy(confidence: float, methods: int, freedom: float) -> None:
    expected = stats.studentized_range.ppf(confidence, methods, freedom)
    assert compute_quantile(confidence, methods, freedom) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("value", "methods", "freedom"), [(0.5, 3, 2), (3.5, 3, 10), (8, 12, 40), (4, 4, math.inf)])
def test_a_tail_is_that_of_scipy(value: float, methods: int, freedom: float) -> None:
    expected = stats.studentized_range.sf(value, methods, freedom)
    assert compute_tail(value, methods, freedom) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("tail", [0.1, 1e-3, 1e-5])
@pytest.mark.parametrize("freedom", [1, 2, 5, 50, 5000, 1e7])
def test_with_two_methods_it_is_students_t(tail: float, freedom: float) -> None:
    assert compute_quantile(1 - tail, 2, freedom) == pytest.approx(
        math.sqrt(2) * stats.t.isf(tail / 2, freedom), rel=1e-3
    )


def test_far_out_with_one_degree_of_freedom_it_is_the_mean_range_over_the_tail() -> None:
    """There the error is nearly zero, whose density is `sqrt(2 / pi)`."""
    mean_range_of_12 = 3.2585  # Tippett 1925
    assert compute_quantile(1 - 1e-4, 12, 1) == pytest.approx(
        mean_range_of_12 * math.sqrt(2 / math.pi) / 1e-4, rel=1e-3
    )


def test_a_tail_begins_at_one() -> None:
    assert compute_tail(0, 5, 3) == 1
    assert compute_tail(1e-9, 5, 3) == pytest.approx(1)
