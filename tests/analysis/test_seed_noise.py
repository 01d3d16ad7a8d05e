"""The variation between runs of several methods: moderated, paired over seeds, and not hidden by an unstable one."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from tests.analysis.simulation import make_scores
from tuneoff.analysis.seed_noise import (
    compute_difference_variances,
    compute_pooled_variance,
    estimate_prior_freedom,
    estimate_seed_noise,
)
from tuneoff.analysis.statistics import ScoreMatrix

Array = NDArray[np.float64]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def make_methods(effects_MS: Array, noise: Array | float = 0.0) -> list[ScoreMatrix]:
    """Make methods whose runs differ by these effects on every one of 20 examples."""
    return [make_scores(effects_S[:, None] + np.zeros(20) + noise) for effects_S in effects_MS]


def test_two_methods_share_the_variance_of_their_paired_difference(generator: np.random.Generator) -> None:
    effects_MS = generator.normal(size=(2, 4))
    noise = estimate_seed_noise(make_methods(effects_MS))
    (first,), (second,) = noise.paired
    assert first.variance + second.variance == pytest.approx(np.var(effects_MS[0] - effects_MS[1], ddof=1))
    assert first.freedom == second.freedom == 3


def test_two_methods_with_different_seeds_keep_their_own_variances(generator: np.random.Generator) -> None:
    effects_MS = generator.normal(size=(2, 4))
    first, second = make_methods(effects_MS)
    other = ScoreMatrix(second.numerators_SE, second.denominators_E, seed_ids=(4, 5, 6, 7))
    assert [part.variance for (part,) in estimate_seed_noise([first, other]).paired] == pytest.approx(
        np.var(effects_MS, axis=1, ddof=1)
    )


def test_what_all_methods_have_in_common_counts_only_against_the_base_model(generator: np.random.Generator) -> None:
    own_MS, common_S = generator.normal(size=(6, 4)), generator.normal(0, 5, size=4)
    alone = estimate_seed_noise(make_methods(own_MS))
    together = estimate_seed_noise(make_methods(own_MS + common_S))
    for (part,), (shared_part,) in zip(alone.paired, together.paired, strict=True):
        assert 0.2 < shared_part.variance / part.variance < 5
    variance_of_common = np.var(common_S, ddof=1)
    for parts in together.alone:
        assert sum(part.variance for part in parts) > 0.5 * variance_of_common


def test_no_variance_is_believed_smaller_than_observed(generator: np.random.Generator) -> None:
    effects_MS = generator.normal(size=(5, 3)) * np.array([[0.1], [0.5], [1.0], [2.0], [9.0]])
    methods = [ScoreMatrix(m.numerators_SE, m.denominators_E, (3 * i, 3 * i + 1, 3 * i + 2))
               for i, m in enumerate(make_methods(effects_MS))]  # fmt: skip
    for (part,), matrix in zip(estimate_seed_noise(methods).paired, methods, strict=True):
        assert part.variance >= matrix.run_variance * (1 - 1e-9)


def test_a_variance_that_happens_to_be_small_is_drawn_towards_those_of_the_other_methods(
    generator: np.random.Generator,
) -> None:
    effects_MS = generator.normal(size=(8, 3))
    effects_MS[0] *= 0.2
    methods = make_methods(effects_MS)
    (part,) = estimate_seed_noise(methods).paired[0]
    assert part.variance > 5 * methods[0].run_variance
    assert part.freedom > 3


def test_a_variance_is_at_least_what_the_interaction_explains(generator: np.random.Generator) -> None:
    methods = [make_scores(generator.normal(0, 2, size=(3, 20))) for _ in range(4)]
    for (part,), matrix in zip(estimate_seed_noise(methods).paired, methods, strict=True):
        assert part.variance >= matrix.interaction_variance


@pytest.mark.parametrize("seeds", [3, 5])
def test_one_unstable_method_does_not_hide_the_differences_between_the_others(
    seeds: int, generator: np.random.Generator
) -> None:
    stable, unstable = [], []
    for _ in range(200):
        effects_MS = generator.normal(size=(5, seeds))
        effects_MS[0] *= 10
        parts = estimate_seed_noise(make_methods(effects_MS)).paired
        stable.append(parts[1][0].variance)
        unstable.append(parts[0][0].variance)
    assert np.median(stable) < 4
    assert np.median(unstable) > 20


def test_with_two_seeds_the_typical_variance_is_that_of_all_methods() -> None:
    effects_MS = np.array([[-3.0, 3.0], [0.0, 0.1], [0.1, 0.0], [0.05, 0.0]])
    parts = estimate_seed_noise(make_methods(effects_MS)).paired
    assert all(part.variance > 0.1 for (part,) in parts)


def test_the_base_model_and_methods_with_one_run_have_no_parts(generator: np.random.Generator) -> None:
    trained = make_methods(generator.normal(size=(3, 3)))
    base, once = make_scores(np.zeros((1, 20)), trained=False), make_scores(np.ones((1, 20)))
    noise = estimate_seed_noise([base, *trained, once])
    assert noise.paired[0] == noise.paired[4] == noise.alone[0] == ()
    assert all(len(parts) == 1 for parts in noise.paired[1:4])


def test_the_pooled_variance_is_half_the_mean_variance_of_a_difference(generator: np.random.Generator) -> None:
    effects_MS = generator.normal(size=(4, 6))
    differences = [np.var(effects_MS[i] - effects_MS[j], ddof=1) for i in range(4) for j in range(i)]
    assert compute_pooled_variance(compute_difference_variances(effects_MS)) == pytest.approx(np.mean(differences) / 2)


def test_the_pooled_variance_leaves_out_the_least_stable_method(generator: np.random.Generator) -> None:
    effects_MS = generator.normal(size=(4, 6))
    with_unstable_MS = np.concatenate([effects_MS, 100 * generator.normal(size=(1, 6))])
    assert compute_pooled_variance(compute_difference_variances(with_unstable_MS), left_out=1) == pytest.approx(
        compute_pooled_variance(compute_difference_variances(effects_MS))
    )


def test_the_prior_freedom_is_that_of_variances_drawn_with_it(generator: np.random.Generator) -> None:
    """The variances of 2,000 methods, each drawn around a true one from the prior of Smyth 2004."""
    freedom, seeds_freedom = 6.0, 4.0
    true_M = freedom / chi2.rvs(freedom, size=2000, random_state=generator)
    variances_M = true_M * chi2.rvs(seeds_freedom, size=2000, random_state=generator) / seeds_freedom
    assert estimate_prior_freedom(variances_M, np.full(2000, seeds_freedom)) == pytest.approx(freedom, rel=0.2)


def test_the_prior_freedom_is_infinite_for_equal_and_zero_for_very_different_variances() -> None:
    assert estimate_prior_freedom(np.ones(5), np.full(5, 2.0)) == np.inf
    assert estimate_prior_freedom(np.exp(np.array([-60.0, -20, 0, 20, 60])), np.full(5, 2.0)) < 0.2
