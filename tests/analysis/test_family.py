"""Differences between methods: against scipy, hand calculations, and simulations with known differences."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulation import Array, make_scores, simulate_pair
from tuneoff.analysis.family import PairedDifference, compare_all, compute_randomization_p, get_critical_value
from tuneoff.analysis.statistics import ScoreMatrix


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def compare(first_SE: object, second_SE: object) -> PairedDifference:
    return compare_all([make_scores(first_SE), make_scores(second_SE)])[0, 1]


def simulate_families(
    generator: np.random.Generator, count: int, *, methods: int, seeds: int, common: float = 0.0, seed_effect: float = 3
) -> list[list[ScoreMatrix]]:
    """Simulate families of equal methods, whose seed effects are partly common."""

    def simulate() -> list[ScoreMatrix]:
        difficulty_E = generator.normal(20, 8, size=40)
        common_S = generator.normal(0, seed_effect * common**0.5, size=seeds)
        own_MS = generator.normal(0, seed_effect * (1 - common) ** 0.5, size=(methods, seeds))
        noise_MSE = generator.normal(0, 2, size=(methods, seeds, 40))
        return [make_scores(scores_SE) for scores_SE in difficulty_E + (common_S + own_MS)[..., None] + noise_MSE]

    return [simulate() for _ in range(count)]


def count_false(families: list[list[ScoreMatrix]]) -> int:
    """Count the families in which any interval excludes zero."""
    estimates = ([pair.estimate(0.95) for pair in compare_all(family).values()] for family in families)
    return sum(any(e.low > 0 or e.high < 0 for e in of_family) for of_family in estimates)


# Two methods


def test_the_difficulty_of_examples_that_both_methods_share_adds_no_variance() -> None:
    difficulty_E = np.arange(20.0)
    estimate = compare([difficulty_E + 1], [difficulty_E]).estimate(0.95)
    assert (estimate.low, estimate.mean, estimate.high) == pytest.approx((1, 1, 1))


def test_with_one_seed_the_p_value_and_the_interval_are_those_of_the_paired_t_test(
    generator: np.random.Generator,
) -> None:
    first_E, second_E = generator.normal(20, 8, size=(2, 80))
    pair, expected = compare([first_E], [second_E]), stats.ttest_rel(first_E, second_E)
    assert pair.compute_p(0.95) == pytest.approx(expected.pvalue, rel=0.01)
    low, high = expected.confidence_interval(0.95)
    assert (pair.estimate(0.95).low, pair.estimate(0.95).high) == pytest.approx((low, high))


def test_without_noise_between_examples_the_interval_is_that_of_a_paired_t_test_over_seeds() -> None:
    first_S, second_S = np.array([20.0, 21, 25, 23]), np.array([26.0, 27, 33, 29.5])
    pair = compare(np.repeat(first_S[:, None], 60, axis=1), np.repeat(second_S[:, None], 60, axis=1))
    low, high = stats.ttest_rel(first_S, second_S).confidence_interval(0.95)
    assert (pair.estimate(0.95).low, pair.estimate(0.95).high) == pytest.approx((low, high))


def test_methods_without_the_same_seeds_are_not_paired_over_seeds() -> None:
    scores_SE = np.repeat(np.array([[20.0], [21], [25]]), 60, axis=1)
    paired = compare_all([ScoreMatrix(scores_SE, np.ones(60)), ScoreMatrix(scores_SE + 2, np.ones(60))])[0, 1]
    unpaired = compare_all(
        [ScoreMatrix(scores_SE, np.ones(60)), ScoreMatrix(scores_SE + 2, np.ones(60), seed_ids=(7, 8, 9))]
    )[0, 1]
    assert paired.estimate(0.95).high == pytest.approx(-2)
    assert unpaired.estimate(0.95).high > 0


def test_the_base_model_has_no_variation_between_runs(generator: np.random.Generator) -> None:
    scores_SE = generator.normal(20, 3, size=(3, 1)) + np.zeros((3, 60))
    pair = compare_all([make_scores(scores_SE), make_scores(np.full((1, 60), 18.0), trained=False)])[0, 1]
    low, high = stats.t.interval(0.95, 2, scores_SE.mean() - 18, stats.sem(scores_SE[:, 0]))
    assert pair.knows_seed_variance
    assert (pair.estimate(0.95).low, pair.estimate(0.95).high) == pytest.approx((low, high))


def test_with_one_run_the_variation_between_runs_is_unknown() -> None:
    assert not compare([[1.0, 2.0, 4.0]], [[2.0, 3.0, 3.0]]).knows_seed_variance


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


@pytest.mark.parametrize("more", [{"seeds": 9}, {"examples": 160}, {"seeds": 9, "examples": 160}], ids=str)
def test_the_variance_projected_to_more_seeds_or_examples_is_that_of_a_simulation_with_as_many(
    more: dict[str, int], generator: np.random.Generator
) -> None:
    noise = {"seed_effect": 3.0, "example_effect": 4.0}
    few = [sum(part.variance for part in simulate_pair(generator, **noise).compute_parts(**more)) for _ in range(1000)]
    many = [np.square(simulate_pair(generator, **noise, **more).mean) for _ in range(1000)]
    assert np.mean(few) == pytest.approx(np.mean(many), rel=0.2)


def test_a_method_compared_with_itself_differs_by_zero_with_a_p_value_of_one(generator: np.random.Generator) -> None:
    scores_SE = generator.normal(10, 2, size=(2, 30))
    pair = compare(scores_SE, scores_SE)
    assert (pair.estimate(0.95).mean, pair.compute_p(0.95)) == (0, 1.0)


# Several methods at once


@pytest.mark.parametrize(("methods", "seeds", "common"), [(4, 3, 0.0), (4, 2, 0.77), (8, 2, 0.0), (8, 3, 0.77)])
def test_any_of_all_intervals_of_equal_methods_excludes_zero_as_rarely_as_stated(
    methods: int, seeds: int, common: float, generator: np.random.Generator
) -> None:
    false = count_false(simulate_families(generator, 150, methods=methods, seeds=seeds, common=common))
    assert false <= stats.binom.isf(0.001, 150, 0.05)


def test_methods_whose_seed_effects_are_common_have_narrow_intervals(generator: np.random.Generator) -> None:
    def compute_width(common: float) -> float:
        families = simulate_families(generator, 100, methods=4, seeds=3, common=common, seed_effect=6)
        return float(np.median([compare_all(family)[0, 1].compute_half_width(0.95) for family in families]))

    assert compute_width(0.77) < 0.7 * compute_width(0.0)


def test_an_interval_is_wider_and_a_p_value_larger_among_more_methods(generator: np.random.Generator) -> None:
    (family,) = simulate_families(generator, 1, methods=6, seeds=3, seed_effect=0)
    alone, among = compare_all(family[:2])[0, 1], compare_all(family)[0, 1]
    assert among.methods == 6
    assert among.compute_p(0.95) >= alone.compute_p(0.95)


@pytest.mark.parametrize("shift", np.linspace(0, 12, 7))
def test_the_p_value_is_significant_exactly_if_the_interval_excludes_zero(
    shift: float, generator: np.random.Generator
) -> None:
    for family in simulate_families(generator, 10, methods=3, seeds=3):
        moved = [make_scores(family[0].numerators_SE + shift), *family[1:]]
        for pair in compare_all(moved).values():
            estimate, p = pair.estimate(0.95), pair.compute_p(0.95)
            assert (p < 0.05) == (estimate.low > 0 or estimate.high < 0) or p == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize(("methods", "freedom"), [(2, 5), (4, 2), (4, 7.3), (8, 33), (8, np.inf)])
def test_the_critical_value_is_that_of_the_studentized_range(methods: int, freedom: float) -> None:
    expected = stats.studentized_range.ppf(0.95, methods, freedom) / 2**0.5
    assert get_critical_value(methods, freedom, 0.95) == pytest.approx(expected, rel=0.01)


# Few examples


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_randomization_test_agrees_with_scipy(shift: float, generator: np.random.Generator) -> None:
    first_E, second_E = generator.normal(20, 4, size=(2, 30))
    reference = stats.permutation_test(
        (first_E + shift, second_E), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=9999, rng=np.random.default_rng(3),
    )  # fmt: skip
    assert compute_randomization_p(first_E + shift - second_E) == pytest.approx(reference.pvalue, abs=0.02)


def test_the_p_value_of_few_examples_of_one_sign_is_that_of_all_sign_flips() -> None:
    assert compute_randomization_p(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(2 / 2**4, abs=0.01)


def test_so_few_examples_that_no_sign_flips_are_rare_show_no_difference() -> None:
    examples_E: Array = np.array([1.0, 2.0, 3.0, 4.0])
    pair = compare([examples_E + 5, examples_E + 5.1], [examples_E, examples_E + 0.1])
    assert pair.estimate(0.95).low == 0
    assert pair.compute_p(0.95) > 0.05


def test_a_difference_in_few_of_many_examples_is_checked_too() -> None:
    """Five of 400 examples gained: by Student's t p = 0.025, by the signs of the five p = 0.06."""
    gains_E = np.where(np.arange(400) < 5, 1.0, 0.0)
    pair = compare([gains_E], [np.zeros(400)])
    assert pair.estimate(0.95).low == 0


def test_p_is_not_significant_where_the_interval_of_a_strict_look_contains_zero() -> None:
    """With two seeds the critical value at 99.5 % is beyond that of one degree of freedom at 95 %."""
    first_SE = np.repeat(np.array([[20.0], [20.6]]), 60, axis=1)
    for lead in np.linspace(1, 60, 30):
        pair = compare(first_SE + lead, np.full((2, 60), 20.0))
        for confidence in (0.95, 0.995):
            estimate = pair.estimate(confidence)
            assert (pair.compute_p(confidence) < 1 - confidence) == (estimate.low > 0 or estimate.high < 0)


def test_of_many_methods_one_that_is_far_better_on_few_examples_is_shown_to_be(generator: np.random.Generator) -> None:
    """The sixty methods need a p-value that is smaller than that of one among all sign flips that are drawn."""
    scores_MSE = generator.normal(20, 8, size=40) + generator.normal(0, 1, size=(60, 3, 40))
    scores_MSE[0] += 10
    estimate = compare_all([make_scores(scores_SE) for scores_SE in scores_MSE])[0, 1].estimate(0.95)
    assert 0 < estimate.low < 10


@pytest.mark.parametrize("examples", [4, 8, 14])
def test_no_p_value_of_the_randomization_test_is_smaller_than_that_of_all_flips(
    examples: int, generator: np.random.Generator
) -> None:
    signs_FE = np.array(list(itertools.product([-1, 1], repeat=examples)))
    for shift in (0.5, 1.0, 4.0):
        differences_E = generator.normal(shift, 1, size=examples)
        exact = np.mean(np.abs(signs_FE @ differences_E) >= abs(differences_E.sum()) - 1e-9)
        assert compute_randomization_p(differences_E) >= exact * 0.8
