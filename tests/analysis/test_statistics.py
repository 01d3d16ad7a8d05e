"""Means and the parts of their variances, against hand calculations, scipy, and simulations with known variance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.verdict.families import measure_mean_coverage
from tests.analysis.simulation import Array, make_scores, simulate_pair
from tuneoff.analysis.statistics import Part, ScoreMatrix, compute_half_width, estimate_mean


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def values_E(generator: np.random.Generator) -> Array:
    return generator.normal(10, 2, 400)


# The mean of a method


def test_the_mean_is_the_ratio_of_the_sums_not_the_mean_of_ratios() -> None:
    assert ScoreMatrix(np.array([[1.0, 9.0]]), np.array([1.0, 3.0])).mean == 2.5


def test_with_one_seed_the_interval_is_as_wide_as_that_of_the_t_distribution_over_examples(values_E: Array) -> None:
    estimate = estimate_mean(make_scores([values_E]), 0.95)
    low, high = stats.t.interval(0.95, 399, values_E.mean(), stats.sem(values_E))
    assert estimate.high - estimate.low == pytest.approx(high - low)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_with_one_example_the_interval_is_as_wide_as_that_of_the_t_distribution_over_seeds() -> None:
    values = [20.0, 21.0, 25.0]
    estimate = estimate_mean(make_scores([[value] for value in values]), 0.95)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert estimate.high - estimate.low == pytest.approx(high - low)


def test_a_lower_confidence_has_a_narrower_interval(values_E: Array) -> None:
    wide, narrow = estimate_mean(make_scores([values_E]), 0.95), estimate_mean(make_scores([values_E]), 0.8)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_the_same_numbers_give_the_same_interval(values_E: Array) -> None:
    assert estimate_mean(make_scores([values_E]), 0.95) == estimate_mean(make_scores([values_E]), 0.95)


def test_equal_scores_have_an_interval_of_zero_width() -> None:
    estimate = estimate_mean(make_scores([[2.0] * 5] * 3), 0.95)
    assert (estimate.low, estimate.high) == (2.0, 2.0)


def test_a_single_score_has_an_interval_of_zero_width() -> None:
    estimate = estimate_mean(ScoreMatrix(np.array([[3.0]]), np.array([2.0])), 0.95)
    assert (estimate.low, estimate.mean, estimate.high) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("seed_effect", [0.0, 2.0])
def test_the_interval_of_a_mean_covers_the_true_mean_as_often_as_stated(
    seed_effect: float, generator: np.random.Generator
) -> None:
    estimates = [estimate_mean(simulate_pair(generator, seed_effect=seed_effect).second, 0.95) for _ in range(300)]
    missed = sum(not estimate.low <= 20 <= estimate.high for estimate in estimates)
    assert missed <= stats.binom.isf(0.001, 300, 0.05)


def test_unequal_weights_count_as_fewer_examples(values_E: Array) -> None:
    weights_E = np.where(np.arange(400) < 40, 10.0, 1.0)
    weighted = ScoreMatrix((values_E * weights_E)[None], weights_E)
    assert weighted.effective_examples == pytest.approx((40 * 100 + 360) ** 2 / (40 * 10_000 + 360))
    assert estimate_mean(weighted, 0.95).high - weighted.mean > estimate_mean(make_scores([values_E]), 0.95).high - 10


def test_the_interval_of_a_weighted_mean_is_that_of_the_jackknife(generator: np.random.Generator) -> None:
    weights_E, losses_E = generator.lognormal(3, 1, 25), generator.gamma(6, 0.4, 25)
    scores = ScoreMatrix((losses_E * weights_E)[None], weights_E)
    kept = ~np.eye(25, dtype=bool)
    left_out = [(losses_E * weights_E)[rest].sum() / weights_E[rest].sum() for rest in kept]
    variance = 24 / 25 * sum((value - scores.mean) ** 2 for value in left_out)
    critical = stats.t.isf(0.025, scores.effective_examples - 1)
    estimate = estimate_mean(scores, 0.95)
    assert estimate.high - estimate.mean == pytest.approx(critical * variance**0.5)


def test_the_interval_of_a_token_weighted_loss_covers_as_often_as_stated(generator: np.random.Generator) -> None:
    def covers() -> bool:
        tokens_E = np.maximum(1, np.round(generator.lognormal(3.2, 0.5, 30)))
        losses_E = generator.gamma(6.25, 0.4, 30)  # mean 2.5 nats, whatever the length
        estimate = estimate_mean(ScoreMatrix((losses_E * tokens_E)[None], tokens_E), 0.95)
        return estimate.low <= 2.5 <= estimate.high

    assert np.mean([covers() for _ in range(1500)]) == pytest.approx(0.945, abs=0.015)


def test_the_interval_covers_where_longer_examples_have_a_lower_loss(generator: np.random.Generator) -> None:
    """The benchmark measures it for other lengths and numbers; with Kish's number of examples it would be 0.91."""
    assert measure_mean_coverage(generator, 1.0, 30, 1, 1500) == pytest.approx(0.95, abs=0.02)


# The parts of a variance


def test_the_components_of_two_seeds_and_two_examples_are_those_computed_by_hand() -> None:
    scores = make_scores([[1, 2], [3, 6]])  # the seeds' means are 1.5 and 4.5; the residuals are all a half
    assert scores.run_variance == pytest.approx(4.5)
    assert scores.interaction_variance == pytest.approx(4 * 0.25 / 2)


def test_the_components_are_on_average_those_of_the_simulation(generator: np.random.Generator) -> None:
    sides = [simulate_pair(generator, seeds=3, examples=40, seed_effect=2, interaction=8).first for _ in range(2000)]
    assert np.mean([side.interaction_variance for side in sides]) == pytest.approx(8**2 / 40, rel=0.02)
    assert np.mean([side.run_variance for side in sides]) == pytest.approx(2**2 + 8**2 / 40, rel=0.05)


def test_with_one_seed_the_variance_between_runs_is_unknown() -> None:
    assert [part.freedom for part in make_scores([[1, 2, 4]]).compute_parts() if part.variance > 0] == [2]


def test_the_interaction_counts_once(generator: np.random.Generator) -> None:
    scores = [make_scores(generator.normal(0, 8, size=(3, 40))) for _ in range(2000)]
    totals = [sum(part.variance for part in of_method.compute_parts()) for of_method in scores]
    true = 8**2 / (3 * 40)
    assert true < np.mean(totals) < 1.7 * true  # above it, since no part is below zero


def test_half_widths_are_added_in_quadrature() -> None:
    parts = [Part(4.0, 39.0), Part(1.0, 2.0)]
    expected = (4 * stats.t.isf(0.025, 39) ** 2 + stats.t.isf(0.025, 2) ** 2) ** 0.5
    assert compute_half_width(parts, 0.95) == pytest.approx(expected)


def test_an_interval_ends_where_scores_do() -> None:
    scores = ScoreMatrix(np.array([[0.0, 0.0, 0.0, 12.0]]), np.ones(4))
    free, bounded = (estimate_mean(one, 0.95) for one in (scores, replace(scores, bounds=(0.0, 100.0))))
    assert free.low < 0 == bounded.low
    assert (bounded.mean, bounded.high) == (free.mean, free.high)
    high = ScoreMatrix(100 - np.array([[0.0, 0.0, 0.0, 12.0]]), np.ones(4))
    assert estimate_mean(replace(high, bounds=(0.0, 100.0)), 0.95).high == 100
