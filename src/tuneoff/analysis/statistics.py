"""Intervals and p-values for a score and for a paired difference, over test examples and seeds.

A method's scores form a seeds × examples matrix with two crossed random factors. The model is

    score = mean + example effect + seed effect + seed-example interaction,

and the variance of a mean is the sum of its variance components, estimated by the method of moments as in a two-way
analysis of variance without replication. The steps from there:

- degrees of freedom of the sum: Satterthwaite's approximation;
- width of an interval, and one p-value: Student's t with that variance and those degrees of freedom;
- asymmetry of an interval: a hierarchical bootstrap, which resamples seeds and examples independently;
- a second p-value: the paired randomization test, over examples;
- several pairs at once: Holm's correction.

All methods answer the same examples, so examples are resampled together for all methods. Seeds are resampled for each
method independently.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

RESAMPLES = 2000  # of the bootstrap
SIGN_FLIPS, BLOCK = 10_000, 500  # of the randomization test: in all, and in memory at a time


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval, over examples and, if there are several, seeds."""

    mean: float
    low: float
    high: float
    examples: int
    seeds: int = 1


class VarianceComponents(NamedTuple):
    """The parts of the variance of one method's mean that depend on its seeds, and how many seeds they come from."""

    seeds: int
    seed: float  # variation between runs alone: a seed moves all examples by the same amount
    interaction: float  # a seed moves single examples
    between_seeds: float  # observed between the seeds' means: seed and interaction together


@dataclass(frozen=True)
class ScoreMatrix:
    """One method's scores as a ratio of sums, over seeds and test examples.

    Args:
        numerators_SE: one number for each seed and example, such as an example's summed loss. It does not matter
            whether higher is better.
        denominators_E: one number for each example, such as its target tokens; all ones if the ratio is a mean.
        stream: selects the random numbers for resampling this method's seeds.
    """

    numerators_SE: Array
    denominators_E: Array
    stream: int = 0

    @property
    def seeds(self) -> int:
        return len(self.numerators_SE)

    @property
    def examples(self) -> int:
        return len(self.denominators_E)

    @property
    def mean(self) -> float:
        """The sum over all seeds and examples, divided once."""
        return float(self.numerators_SE.sum() / (self.seeds * self.denominators_E.sum()))

    @cached_property
    def influence_SE(self) -> Array:
        """The influence of each score on the ratio, by linearization (the delta method); their mean is zero.

        Source: Cochran 1977, "Sampling Techniques", chapter 6, on ratio estimators.
        """
        return np.asarray((self.numerators_SE - self.mean * self.denominators_E) / self.denominators_E.mean())

    @cached_property
    def between_seeds_variance(self) -> float:
        """The variance of the mean as observed between seeds. Zero with one seed, where it is unknown.

        It estimates the seed variance plus the interaction variance.
        """
        return float(np.var(self.influence_SE.mean(axis=1), ddof=1) / self.seeds) if self.seeds > 1 else 0.0

    @cached_property
    def interaction_variance(self) -> float:
        """The variance of the mean from the seed-example interaction, estimated by the residual mean square.

        The variance between seeds and the variance between examples both contain it.
        """
        if self.seeds < 2 or self.examples < 2:
            return 0.0
        u_SE = self.influence_SE
        residuals_SE = u_SE - u_SE.mean(axis=0) - u_SE.mean(axis=1, keepdims=True) + u_SE.mean()
        freedom = (self.seeds - 1) * (self.examples - 1)
        return float((residuals_SE**2).sum() / freedom / (self.seeds * self.examples))

    @property
    def seed_variance(self) -> float:
        """The variance of the mean from variation between runs alone, without the interaction; at least zero."""
        return max(0.0, self.between_seeds_variance - self.interaction_variance)

    def project_components(self, seeds: int, examples: int) -> VarianceComponents:
        """The components expected with at least `seeds` seeds and with `examples` examples.

        With one seed the components are unknown, so it stays one.
        """
        projected_seeds = max(self.seeds, seeds) if self.seeds > 1 else 1
        per_seed = self.seeds / projected_seeds
        per_score = self.seeds / projected_seeds * self.examples / examples
        seed = self.seed_variance * per_seed
        return VarianceComponents(
            seeds=projected_seeds,
            seed=seed,
            interaction=self.interaction_variance * per_score,
            between_seeds=seed + (self.between_seeds_variance - self.seed_variance) * per_score,
        )

    @cached_property
    def bootstrap_deviations_R(self) -> Array:
        """The deviation from the mean in each hierarchical bootstrap resample, (R,).

        Seeds and examples are resampled independently; the examples are the same as for every other method. Resampling
        S seeds shows (S - 1) / S of their variance, two thirds for three seeds, so the seeds' part of the deviation is
        multiplied by the square root of S / (S - 1).

        Source: Owen 2007, "The pigeonhole bootstrap", arXiv:0712.1111, for resampling rows and columns independently.
        """
        weights_RE = _draw_example_weights(self.examples)
        numerators_RS, denominators_R = weights_RE @ self.numerators_SE.T, weights_RE @ self.denominators_E
        weights_RS = _draw_seed_weights(self.seeds, self.stream)
        means_R = (numerators_RS * weights_RS).sum(axis=1) / denominators_R
        means_by_seed_R = weights_RS @ (self.numerators_SE.sum(axis=1) / self.denominators_E.sum())
        correction = math.sqrt(self.seeds / (self.seeds - 1)) if self.seeds > 1 else 0.0
        return np.asarray(means_R - means_by_seed_R + correction * (means_by_seed_R - self.mean))


@dataclass(frozen=True)
class PairedDifference:
    """The difference `first.mean - second.mean` of two methods that answered the same examples."""

    first: ScoreMatrix
    second: ScoreMatrix

    @property
    def mean(self) -> float:
        return self.first.mean - self.second.mean

    @cached_property
    def differences_E(self) -> Array:
        """Each example's part of the difference, averaged over seeds."""
        first_E, second_E = self.first.numerators_SE.mean(axis=0), self.second.numerators_SE.mean(axis=0)
        return np.asarray((first_E - second_E) / self.first.denominators_E.mean())

    def compute_variance(self, seeds: int = 0, examples: int | None = None) -> float:
        """The variance of the difference, or the one expected with at least `seeds` seeds of each method and with
        `examples` examples."""
        return self._compute_variance_and_freedom(seeds, examples)[0]

    def compute_freedom(self, seeds: int = 0, examples: int | None = None) -> float:
        """The degrees of freedom of that variance: few if few seeds contribute most of it."""
        return self._compute_variance_and_freedom(seeds, examples)[1]

    def estimate(self, confidence: float) -> Estimate:
        """The difference with its interval; see `_compute_interval`."""
        deviations_R = self.first.bootstrap_deviations_R - self.second.bootstrap_deviations_R
        low, high = _compute_interval(self.mean, deviations_R, *self._compute_variance_and_freedom(), confidence)
        seeds = min(self.first.seeds, self.second.seeds)
        return Estimate(mean=self.mean, low=low, high=high, examples=self.first.examples, seeds=seeds)

    @cached_property
    def t_test_p(self) -> float:
        """The two-sided p-value of a t-test with the variance over seeds and examples.

        With one seed it is that of the paired t-test over examples, with one example that of Welch's t-test over seeds.
        """
        from scipy.stats import t

        variance, freedom = self._compute_variance_and_freedom()
        if variance == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * t.sf(abs(self.mean) / math.sqrt(variance), freedom))

    def _compute_variance_and_freedom(self, seeds: int = 0, examples: int | None = None) -> tuple[float, float]:
        examples = self.first.examples if examples is None else examples
        components = [side.project_components(seeds, examples) for side in (self.first, self.second)]
        interaction = self.first.interaction_variance + self.second.interaction_variance
        example_variance = max(0.0, self._between_examples_variance - interaction) * self.first.examples / examples
        between_examples = example_variance + sum(side.interaction for side in components)
        return _combine_components(between_examples, examples, components)

    @cached_property
    def _between_examples_variance(self) -> float:
        return _compute_variance_of_mean(self.first.influence_SE.mean(axis=0) - self.second.influence_SE.mean(axis=0))


def estimate_mean(scores: ScoreMatrix, confidence: float) -> Estimate:
    """A score with its interval; see `_compute_interval`. One example shows no variance between examples."""
    between_examples = _compute_variance_of_mean(scores.influence_SE.mean(axis=0))
    variance, freedom = _combine_components(
        between_examples, scores.examples, [scores.project_components(scores.seeds, scores.examples)]
    )
    low, high = _compute_interval(scores.mean, scores.bootstrap_deviations_R, variance, freedom, confidence)
    return Estimate(mean=scores.mean, low=low, high=high, examples=scores.examples, seeds=scores.seeds)


def compute_randomization_p(differences_PE: Array) -> Array:
    """The two-sided p-value of a paired randomization test, for each row of paired differences, (P,).

    If two methods were equal, the sign of each example's difference would be arbitrary. The p-value is the share of
    random sign flips whose sum is at least as far from zero as the observed one, which counts as one of them.

    Source: Riezler and Maxwell 2005, W05-0908. scipy.stats.permutation_test with `permutation_type="samples"` computes
    the same for one pair at a time.
    """
    generator = np.random.default_rng(2)
    observed_P, exceeding_P = np.abs(differences_PE.sum(axis=1)) * (1 - 1e-12), np.ones(len(differences_PE))
    for flips in (BLOCK,) * (SIGN_FLIPS // BLOCK):  # all at once would need ten thousand copies of the split
        signs_RE = 2.0 * generator.integers(2, size=(flips, differences_PE.shape[1]), dtype=np.int8) - 1
        exceeding_P += (np.abs(signs_RE @ differences_PE.T) >= observed_P).sum(axis=0)
    return np.asarray(exceeding_P / (1 + SIGN_FLIPS))


def compute_adjusted_p_values(pairs: Sequence[PairedDifference]) -> list[float]:
    """The p-value of no difference for each of several pairs, after Holm's correction over all of them.

    Of each pair's two p-values the larger counts: the randomization test ignores seeds, and the t-test assumes a
    normal distribution.
    """
    randomization_ps = compute_randomization_p(np.array([pair.differences_E for pair in pairs]))
    return adjust_holm([max(float(p), pair.t_test_p) for p, pair in zip(randomization_ps, pairs, strict=True)])


def adjust_holm(ps: Sequence[float]) -> list[float]:
    """p-values after Holm's step-down correction, which controls the family-wise error rate.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def _compute_interval(
    mean: float, deviations_R: Array, variance: float, freedom: float, confidence: float
) -> tuple[float, float]:
    """An interval with the asymmetry of the hierarchical bootstrap and the width of Student's t.

    The width of the bootstrap alone is wrong in both directions. It is too large because the interaction is resampled
    twice, with the seeds and with the examples. It is too small because two or three seeds have few resamples, none of
    them far from the mean.
    """
    from scipy.stats import t

    tail = (1 - confidence) / 2
    low, high = np.quantile(deviations_R, [tail, 1 - tail])
    if variance == 0 or low == high:
        return mean, mean
    scale = 2 * float(t.isf(tail, freedom)) * math.sqrt(variance) / float(high - low)
    return mean + scale * float(low), mean + scale * float(high)


def _compute_variance_of_mean(u_E: Array) -> float:
    return float(np.var(u_E, ddof=1) / len(u_E)) if len(u_E) > 1 else 0.0


def _combine_components(
    between_examples: float, examples: int, methods: Sequence[VarianceComponents]
) -> tuple[float, float]:
    """The variance of a mean or difference, and its degrees of freedom.

    The variance between examples and the variance between seeds both contain the interaction, so it is subtracted once.
    The degrees of freedom follow from every mean square that was measured, not from the difference that is left: if the
    seed variance is estimated as zero, few seeds still know it badly.

    Source: Satterthwaite 1946, "An approximate distribution of estimates of variance components".
    """
    variance = between_examples + sum(method.seed for method in methods)
    measured = [(between_examples, examples - 1)]
    measured += [(method.between_seeds, method.seeds - 1) for method in methods]
    measured += [(method.interaction, (method.seeds - 1) * (examples - 1)) for method in methods]
    uncertainty = sum(part**2 / freedom for part, freedom in measured if freedom > 0)
    return variance, variance**2 / uncertainty if uncertainty > 0 else math.inf


@functools.cache
def _draw_example_weights(examples: int) -> Array:
    """How often each example is drawn in each resample, (R, E); seeded, so that a report can be reproduced."""
    draws = np.random.default_rng(0).multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES)
    return draws.astype(np.float64)


@functools.cache
def _draw_seed_weights(seeds: int, stream: int) -> Array:
    """Each seed's share of each resample, (R, S); independent between streams."""
    draws = np.random.default_rng([1, stream]).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    return draws.astype(np.float64) / seeds
