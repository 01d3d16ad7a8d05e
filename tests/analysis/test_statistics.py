"""How large the noise is said to be, against hand calculations, scipy, and noise that was put there."""

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


def scored(numerators_SE: object, stream: int = 0) -> ScoreMatrix:
    top = np.array(numerators_SE, dtype=float)
    return ScoreMatrix(top, np.ones(top.shape[1]), stream)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def values_E(generator: np.random.Generator) -> Array:
    return generator.normal(10, 2, 400)


# A score


def test_the_mean_is_the_ratio_of_the_sums_not_the_mean_of_ratios() -> None:
    assert ScoreMatrix(np.array([[1.0, 9.0]]), np.array([1.0, 3.0])).mean == 2.5


def test_the_interval_of_one_seed_is_students_over_examples(values_E: Array) -> None:
    found = estimate_mean(scored([values_E]), 0.95)
    low, high = stats.t.interval(0.95, 399, values_E.mean(), stats.sem(values_E))
    assert found.high - found.low == pytest.approx(high - low)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_the_interval_of_one_example_is_students_over_seeds() -> None:
    values = [20.0, 21.0, 25.0]
    found = estimate_mean(scored([[value] for value in values]), 0.95)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert found.high - found.low == pytest.approx(high - low)


def test_the_interval_leans_to_where_the_scores_do(generator: np.random.Generator) -> None:
    found = estimate_mean(scored([generator.exponential(1, 30)]), 0.95)
    assert found.high - found.mean > 1.1 * (found.mean - found.low)


def test_a_lower_confidence_has_a_narrower_interval(values_E: Array) -> None:
    wide, narrow = estimate_mean(scored([values_E]), 0.95), estimate_mean(scored([values_E]), 0.8)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_the_same_numbers_give_the_same_interval(values_E: Array) -> None:
    assert estimate_mean(scored([values_E]), 0.95) == estimate_mean(scored([values_E]), 0.95)


def test_equal_numbers_have_an_interval_of_no_width() -> None:
    found = estimate_mean(scored([[2.0] * 5] * 3), 0.95)
    assert (found.low, found.high) == (2.0, 2.0)


def test_one_answer_claims_no_interval() -> None:
    found = estimate_mean(ScoreMatrix(np.array([[3.0]]), np.array([2.0])), 0.95)
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("seed_effect", [0.0, 2.0])
def test_the_interval_of_a_score_holds_the_truth_as_often_as_it_says(
    seed_effect: float, generator: np.random.Generator
) -> None:
    found = [estimate_mean(simulate_pair(generator, seed_effect=seed_effect).second, 0.95) for _ in range(300)]
    missed = sum(not one.low <= 20 <= one.high for one in found)
    assert missed <= stats.binom.isf(0.001, 300, 0.05)


# Where its noise comes from


def test_the_components_of_two_seeds_and_two_examples_are_those_worked_by_hand() -> None:
    found = scored([[1, 2], [3, 6]])  # the seeds' means are 1.5 and 4.5; the residuals are all a half
    assert found.between_seeds_variance == pytest.approx(4.5 / 2)
    assert found.interaction_variance == pytest.approx(4 * 0.25 / 4)
    assert found.seed_variance == pytest.approx(2.0)


def test_the_components_are_on_average_the_noise_that_was_put_there(generator: np.random.Generator) -> None:
    sides = [simulate_pair(generator, seeds=3, examples=40, seed_effect=2, interaction=8).first for _ in range(2000)]
    assert np.mean([s.interaction_variance for s in sides]) == pytest.approx(8**2 / (3 * 40), rel=0.02)
    assert np.mean([s.between_seeds_variance for s in sides]) == pytest.approx(2**2 / 3 + 8**2 / (3 * 40), rel=0.05)


def test_one_seed_claims_to_know_nothing_of_luck() -> None:
    assert scored([[1, 2, 4]]).seed_variance == 0


# A difference


@pytest.mark.parametrize("noise", [{"seed_effect": 3}, {"seed_effect": 2, "own": 4}], ids=str)
def test_the_variance_of_a_difference_is_what_differences_vary_by(
    noise: dict[str, Any], generator: np.random.Generator
) -> None:
    pairs = [simulate_pair(generator, seeds=3, **noise) for _ in range(2000)]
    stated = np.mean([pair.compute_variance() for pair in pairs])
    assert stated == pytest.approx(np.var([pair.mean for pair in pairs]), rel=0.15)


@pytest.mark.parametrize("more", [{"seeds": 9}, {"examples": 160}, {"seeds": 9, "examples": 160}], ids=str)
def test_the_variance_that_more_would_leave_is_the_one_that_more_leaves(
    more: dict[str, int], generator: np.random.Generator
) -> None:
    few = [simulate_pair(generator, seed_effect=3, own=4).compute_variance(**more) for _ in range(1000)]
    many = [simulate_pair(generator, seed_effect=3, own=4, **more).compute_variance() for _ in range(1000)]
    assert np.mean(few) == pytest.approx(np.mean(many), rel=0.1)


def test_without_luck_the_variance_is_overstated_since_none_is_taken_for_negative(
    generator: np.random.Generator,
) -> None:
    pairs = [simulate_pair(generator, seed_effect=0) for _ in range(1000)]
    ratio = np.mean([pair.compute_variance() for pair in pairs]) / np.var([pair.mean for pair in pairs])
    assert 1.2 < ratio < 1.7


def test_no_number_of_examples_helps_against_luck(generator: np.random.Generator) -> None:
    pair = simulate_pair(generator, seed_effect=3)
    assert pair.compute_variance(examples=10**9) == pytest.approx(pair.first.seed_variance + pair.second.seed_variance)


def test_no_number_of_seeds_helps_against_the_choice_of_examples(generator: np.random.Generator) -> None:
    left = [simulate_pair(generator, seed_effect=3, own=4).compute_variance(seeds=10**9) for _ in range(500)]
    assert np.mean(left) == pytest.approx(2 * 4**2 / 40, rel=0.1)


def test_hardness_that_both_share_is_no_noise() -> None:
    hardness_E = np.array([5.0, 80.0, 20.0, 60.0])
    found = PairedDifference(scored([hardness_E + 1]), scored([hardness_E])).estimate(0.95)
    assert (found.low, found.mean, found.high) == pytest.approx((1, 1, 1))


def test_with_one_seed_p_is_that_of_the_paired_t_test(generator: np.random.Generator) -> None:
    ours_E, theirs_E = generator.normal(20, 8, size=(2, 30))
    assert PairedDifference(scored([ours_E]), scored([theirs_E])).t_test_p == pytest.approx(
        stats.ttest_rel(ours_E, theirs_E).pvalue
    )


def test_with_one_example_p_is_that_of_welchs_t_test_over_seeds() -> None:
    ours, theirs = [20.0, 21.0, 25.0], [26.0, 27.5, 27.0]
    pair = PairedDifference(scored([[v] for v in ours]), scored([[v] for v in theirs]))
    assert pair.t_test_p == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)


def test_the_freedom_of_several_seeds_counts_beside_a_method_that_has_one() -> None:
    untouched, tuned = scored([[20.0]]), scored([[21.0], [22.0], [26.0]])
    assert PairedDifference(untouched, tuned).compute_freedom() == pytest.approx(2)


def test_luck_that_comes_out_as_zero_is_still_known_by_few_seeds_only(generator: np.random.Generator) -> None:
    pair = simulate_pair(generator, seed_effect=0)
    while pair.first.seed_variance + pair.second.seed_variance > 0:
        pair = simulate_pair(generator, seed_effect=0)
    assert pair.compute_freedom() < 30  # with 40 examples


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("noise", [{"seed_effect": 2}, {"seed_effect": 2, "own": 8}, {"own": 8}], ids=str)
def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says(
    seeds: int, noise: dict[str, Any], generator: np.random.Generator
) -> None:
    found = [simulate_pair(generator, seeds=seeds, **noise).estimate(0.95) for _ in range(200)]
    missed = sum(not one.low <= 0 <= one.high for one in found)
    assert missed <= stats.binom.isf(0.001, 200, 0.05)


# p-values


def test_a_method_against_itself_differs_by_nothing_with_p_one(values_E: Array) -> None:
    pair = PairedDifference(scored([values_E], 0), scored([values_E], 1))
    assert pair.estimate(0.95).mean == 0
    assert compute_adjusted_p_values([pair]) == [1.0]


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_randomisation_is_scipys(shift: float, generator: np.random.Generator) -> None:
    ours_E, theirs_E = generator.normal(20, 4, size=(2, 30))
    (found,) = compute_randomization_p((ours_E + shift - theirs_E)[None])
    reference = stats.permutation_test(
        (ours_E + shift, theirs_E), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=9999, rng=np.random.default_rng(3),
    )  # fmt: skip
    assert found == pytest.approx(reference.pvalue, abs=0.02)


def test_few_examples_that_all_agree_have_the_p_value_of_all_swappings() -> None:
    (found,) = compute_randomization_p(np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert found == pytest.approx(2 / 2**4, abs=0.01)


def test_a_p_value_is_never_zero() -> None:
    assert 0 < compute_randomization_p(np.ones((1, 100)))[0] < 0.001


def test_several_pairs_are_randomised_as_each_alone(generator: np.random.Generator) -> None:
    differences_PE = generator.normal(0.5, 2, size=(3, 30))
    alone = [compute_randomization_p(row[None])[0] for row in differences_PE]
    assert compute_randomization_p(differences_PE).tolist() == pytest.approx(alone)


def test_seeds_that_disagree_make_p_larger_than_the_examples_alone_would() -> None:
    agreeing = scored(np.full((2, 50), 20.0))
    disagreeing = scored([[22.0] * 50, [30.0] * 50])
    pair = PairedDifference(disagreeing, agreeing)
    assert compute_randomization_p(pair.differences_E[None])[0] < 0.001
    assert compute_adjusted_p_values([pair]) == pytest.approx([stats.ttest_1samp([22, 30], 20).pvalue])


def test_holms_correction_is_the_one_worked_by_hand() -> None:
    assert adjust_holm([0.01, 0.04, 0.03]) == pytest.approx(
        [0.03, 0.06, 0.06]
    )  # 3 × 0.01, 2 × 0.03, and not below that


def test_holms_correction_stops_at_one() -> None:
    assert adjust_holm([0.6, 0.9]) == [1.0, 1.0]


def test_one_p_value_alone_is_not_corrected() -> None:
    assert adjust_holm([0.04]) == [0.04]
