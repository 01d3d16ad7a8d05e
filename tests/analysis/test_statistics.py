"""Variances, intervals and p-values, against hand calculations, scipy, and simulations with known variance."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulation import Array, simulate_pair
from tuneoff.analysis.statistics import (
    PairedDifference,
    ScoreMatrix,
    adjust_holm,
    compute_adjusted_p_values,
    compute_randomization_p,
    estimate_mean,
)


def make_scores(scores_SE: object, stream: int = 0) -> ScoreMatrix:
    numerators_SE = np.array(scores_SE, dtype=float)
    return ScoreMatrix(numerators_SE, np.ones(numerators_SE.shape[1]), stream)


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


def test_the_interval_of_skewed_scores_is_asymmetric(generator: np.random.Generator) -> None:
    estimate = estimate_mean(make_scores([generator.exponential(1, 30)]), 0.95)
    assert estimate.high - estimate.mean > 1.1 * (estimate.mean - estimate.low)


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


# Variance components


def test_the_components_of_two_seeds_and_two_examples_are_those_computed_by_hand() -> None:
    scores = make_scores([[1, 2], [3, 6]])  # the seeds' means are 1.5 and 4.5; the residuals are all a half
    assert scores.between_seeds_variance == pytest.approx(4.5 / 2)
    assert scores.interaction_variance == pytest.approx(4 * 0.25 / 4)
    assert scores.seed_variance == pytest.approx(2.0)


def test_the_components_are_on_average_those_of_the_simulation(generator: np.random.Generator) -> None:
    sides = [simulate_pair(generator, seeds=3, examples=40, seed_effect=2, interaction=8).first for _ in range(2000)]
    assert np.mean([s.interaction_variance for s in sides]) == pytest.approx(8**2 / (3 * 40), rel=0.02)
    assert np.mean([s.between_seeds_variance for s in sides]) == pytest.approx(2**2 / 3 + 8**2 / (3 * 40), rel=0.05)


def test_with_one_seed_the_seed_variance_is_zero() -> None:
    assert make_scores([[1, 2, 4]]).seed_variance == 0


# The difference of two methods


@pytest.mark.parametrize("noise", [{"seed_effect": 3}, {"seed_effect": 2, "example_effect": 4}], ids=str)
def test_the_variance_of_a_difference_is_that_of_simulated_differences(
    noise: dict[str, Any], generator: np.random.Generator
) -> None:
    pairs = [simulate_pair(generator, seeds=3, **noise) for _ in range(2000)]
    stated = np.mean([pair.compute_variance() for pair in pairs])
    assert stated == pytest.approx(np.var([pair.mean for pair in pairs]), rel=0.15)


@pytest.mark.parametrize("more", [{"seeds": 9}, {"examples": 160}, {"seeds": 9, "examples": 160}], ids=str)
def test_the_variance_projected_to_more_seeds_or_examples_is_that_of_a_simulation_with_as_many(
    more: dict[str, int], generator: np.random.Generator
) -> None:
    few = [simulate_pair(generator, seed_effect=3, example_effect=4).compute_variance(**more) for _ in range(1000)]
    many = [simulate_pair(generator, seed_effect=3, example_effect=4, **more).compute_variance() for _ in range(1000)]
    assert np.mean(few) == pytest.approx(np.mean(many), rel=0.1)


def test_without_a_seed_effect_the_variance_is_overestimated_because_components_are_not_negative(
    generator: np.random.Generator,
) -> None:
    pairs = [simulate_pair(generator, seed_effect=0) for _ in range(1000)]
    ratio = np.mean([pair.compute_variance() for pair in pairs]) / np.var([pair.mean for pair in pairs])
    assert 1.2 < ratio < 1.7


def test_more_examples_do_not_reduce_the_seed_variance(generator: np.random.Generator) -> None:
    pair = simulate_pair(generator, seed_effect=3)
    assert pair.compute_variance(examples=10**9) == pytest.approx(pair.first.seed_variance + pair.second.seed_variance)


def test_more_seeds_do_not_reduce_the_variance_between_examples(generator: np.random.Generator) -> None:
    variances = [
        simulate_pair(generator, seed_effect=3, example_effect=4).compute_variance(seeds=10**9) for _ in range(500)
    ]
    assert np.mean(variances) == pytest.approx(2 * 4**2 / 40, rel=0.1)


def test_the_difficulty_of_examples_that_both_methods_share_adds_no_variance() -> None:
    difficulty_E = np.array([5.0, 80.0, 20.0, 60.0])
    estimate = PairedDifference(make_scores([difficulty_E + 1]), make_scores([difficulty_E])).estimate(0.95)
    assert (estimate.low, estimate.mean, estimate.high) == pytest.approx((1, 1, 1))


def test_with_one_seed_the_p_value_is_that_of_the_paired_t_test(generator: np.random.Generator) -> None:
    first_E, second_E = generator.normal(20, 8, size=(2, 30))
    assert PairedDifference(make_scores([first_E]), make_scores([second_E])).t_test_p == pytest.approx(
        stats.ttest_rel(first_E, second_E).pvalue
    )


def test_with_one_example_the_p_value_is_that_of_welchs_t_test_over_seeds() -> None:
    first, second = [20.0, 21.0, 25.0], [26.0, 27.5, 27.0]
    pair = PairedDifference(make_scores([[v] for v in first]), make_scores([[v] for v in second]))
    assert pair.t_test_p == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)


def test_next_to_a_method_with_one_seed_the_degrees_of_freedom_are_those_of_the_other() -> None:
    base, tuned = make_scores([[20.0]]), make_scores([[21.0], [22.0], [26.0]])
    assert PairedDifference(base, tuned).compute_freedom() == pytest.approx(2)


def test_a_seed_variance_estimated_as_zero_still_limits_the_degrees_of_freedom(generator: np.random.Generator) -> None:
    pair = simulate_pair(generator, seed_effect=0)
    while pair.first.seed_variance + pair.second.seed_variance > 0:
        pair = simulate_pair(generator, seed_effect=0)
    assert pair.compute_freedom() < 30  # with 40 examples


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(
    "noise", [{"seed_effect": 2}, {"seed_effect": 2, "example_effect": 8}, {"example_effect": 8}], ids=str
)
def test_the_interval_of_a_difference_covers_the_true_difference_as_often_as_stated(
    seeds: int, noise: dict[str, Any], generator: np.random.Generator
) -> None:
    estimates = [simulate_pair(generator, seeds=seeds, **noise).estimate(0.95) for _ in range(200)]
    missed = sum(not estimate.low <= 0 <= estimate.high for estimate in estimates)
    assert missed <= stats.binom.isf(0.001, 200, 0.05)


# p-values


def test_a_method_compared_with_itself_differs_by_zero_with_a_p_value_of_one(values_E: Array) -> None:
    pair = PairedDifference(make_scores([values_E], 0), make_scores([values_E], 1))
    assert pair.estimate(0.95).mean == 0
    assert compute_adjusted_p_values([pair]) == [1.0]


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_randomization_test_agrees_with_scipy(shift: float, generator: np.random.Generator) -> None:
    first_E, second_E = generator.normal(20, 4, size=(2, 30))
    (p,) = compute_randomization_p((first_E + shift - second_E)[None])
    reference = stats.permutation_test(
        (first_E + shift, second_E), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=9999, rng=np.random.default_rng(3),
    )  # fmt: skip
    assert p == pytest.approx(reference.pvalue, abs=0.02)


def test_the_p_value_of_few_examples_of_one_sign_is_that_of_all_sign_flips() -> None:
    (p,) = compute_randomization_p(np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert p == pytest.approx(2 / 2**4, abs=0.01)


def test_a_p_value_is_never_zero() -> None:
    assert 0 < compute_randomization_p(np.ones((1, 100)))[0] < 0.001


def test_several_pairs_have_the_p_values_of_each_alone(generator: np.random.Generator) -> None:
    differences_PE = generator.normal(0.5, 2, size=(3, 30))
    alone = [compute_randomization_p(row[None])[0] for row in differences_PE]
    assert compute_randomization_p(differences_PE).tolist() == pytest.approx(alone)


def test_disagreement_between_seeds_raises_the_p_value_above_that_of_the_examples() -> None:
    agreeing = make_scores(np.full((2, 50), 20.0))
    disagreeing = make_scores([[22.0] * 50, [30.0] * 50])
    pair = PairedDifference(disagreeing, agreeing)
    assert compute_randomization_p(pair.differences_E[None])[0] < 0.001
    assert compute_adjusted_p_values([pair]) == pytest.approx([stats.ttest_1samp([22, 30], 20).pvalue])


def test_holms_correction_is_the_one_computed_by_hand() -> None:
    assert adjust_holm([0.01, 0.04, 0.03]) == pytest.approx(
        [0.03, 0.06, 0.06]
    )  # 3 × 0.01, 2 × 0.03, and not below that


def test_holms_correction_is_at_most_one() -> None:
    assert adjust_holm([0.6, 0.9]) == [1.0, 1.0]


def test_a_single_p_value_is_not_corrected() -> None:
    assert adjust_holm([0.04]) == [0.04]
