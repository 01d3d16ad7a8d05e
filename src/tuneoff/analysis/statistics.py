"""How far a score or a difference could be off: by the choice of test examples, and by the luck of a training.

Every method answers the same examples, so examples are resampled together for all of them; its seeds are its own.
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

RESAMPLES = 2000
SIGN_FLIPS, BLOCK = 10_000, 500


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval, over examples and, where there are several, seeds."""

    mean: float
    low: float
    high: float
    examples: int
    seeds: int = 1


class Components(NamedTuple):
    """The variance of one method's mean, by source."""

    seeds: int
    luck: float  # of the trainings alone
    interaction: float  # what one training does to one example
    between_seeds: float  # as the seeds show it, luck and interaction together


@dataclass(frozen=True)
class ScoreMatrix:
    """What one method scored: a ratio of sums, over seeds and test examples.

    Args:
        top_SE: one number for each seed and example, such as an example's summed loss; higher is better or worse,
            but the same way throughout.
        bottom_E: one number for each example, such as its target tokens; all one where the ratio is a mean.
        stream: distinguishes the random numbers of its seeds from those of others.
    """

    top_SE: Array
    bottom_E: Array
    stream: int = 0

    @property
    def seeds(self) -> int:
        return len(self.top_SE)

    @property
    def examples(self) -> int:
        return len(self.bottom_E)

    @property
    def mean(self) -> float:
        """Sum over everything, divided once."""
        return float(self.top_SE.sum() / (self.seeds * self.bottom_E.sum()))

    @cached_property
    def influence_SE(self) -> Array:
        """How far each answer pulls the mean from where the others have it; their mean is zero."""
        return np.asarray((self.top_SE - self.mean * self.bottom_E) / self.bottom_E.mean())

    @cached_property
    def seed_variance(self) -> float:
        """Of the mean, by the luck of the trainings; zero with one seed, where it cannot be known."""
        return float(np.var(self.influence_SE.mean(axis=1), ddof=1) / self.seeds) if self.seeds > 1 else 0.0

    @cached_property
    def interaction_variance(self) -> float:
        """Of the mean, by what one training does to one example: in the seeds' spread and in the examples' too."""
        if self.seeds < 2 or self.examples < 2:
            return 0.0
        u_SE = self.influence_SE
        rest_SE = u_SE - u_SE.mean(axis=0) - u_SE.mean(axis=1, keepdims=True) + u_SE.mean()
        freedom = (self.seeds - 1) * (self.examples - 1)
        return float((rest_SE**2).sum() / freedom / (self.seeds * self.examples))

    @property
    def luck_variance(self) -> float:
        """Of the mean, by the luck of the trainings alone, without what the choice of examples shows as well."""
        return max(0.0, self.seed_variance - self.interaction_variance)

    def components(self, seeds: int, examples: int) -> Components:
        """What they would be with at least that many seeds, and so many examples; one seed stays one."""
        there = max(self.seeds, seeds) if self.seeds > 1 else 1
        fewer, both = self.seeds / there, self.seeds / there * self.examples / examples
        luck = self.luck_variance * fewer
        return Components(
            seeds=there,
            luck=luck,
            interaction=self.interaction_variance * both,
            between_seeds=luck + (self.seed_variance - self.luck_variance) * both,
        )

    @cached_property
    def deviations_R(self) -> Array:
        """The mean's deviation in each resample: of seeds, then of examples, the same examples as every other's.

        Resampling S things shows only (S - 1) / S of their variance, which for three seeds is two thirds; so the
        seeds' part is stretched by the root of S / (S - 1).
        """
        weights_RE = _draw_example_weights(self.examples)
        tops_RS, bottoms_R = weights_RE @ self.top_SE.T, weights_RE @ self.bottom_E
        weights_RS = _draw_seed_weights(self.seeds, self.stream)
        both_R = (tops_RS * weights_RS).sum(axis=1) / bottoms_R
        by_seed_R = weights_RS @ (self.top_SE.sum(axis=1) / self.bottom_E.sum())
        stretched = math.sqrt(self.seeds / (self.seeds - 1)) if self.seeds > 1 else 0.0
        return np.asarray(both_R - by_seed_R + stretched * (by_seed_R - self.mean))


@dataclass(frozen=True)
class PairedDifference:
    """Two methods that answered the same examples; `ours.mean - theirs.mean` is what is asked about."""

    ours: ScoreMatrix
    theirs: ScoreMatrix

    @property
    def mean(self) -> float:
        return self.ours.mean - self.theirs.mean

    @cached_property
    def differences_E(self) -> Array:
        """Each example's part in the difference, the mean over seeds."""
        return np.asarray((self.ours.top_SE.mean(axis=0) - self.theirs.top_SE.mean(axis=0)) / self.ours.bottom_E.mean())

    def variance(self, seeds: int = 0, examples: int | None = None) -> float:
        """Of the difference; what it would be with at least that many seeds of each side, and so many examples."""
        return self._noise(seeds, examples)[0]

    def freedom(self, seeds: int = 0, examples: int | None = None) -> float:
        """Degrees of freedom of that variance: few where few seeds carry most of it."""
        return self._noise(seeds, examples)[1]

    def interval(self, confidence: float) -> tuple[float, float]:
        """Of the difference; see `_around`."""
        deviations_R = self.ours.deviations_R - self.theirs.deviations_R
        return _make_interval(self.mean, deviations_R, *self._noise(), confidence)

    def difference(self, confidence: float) -> Estimate:
        """The mean with that interval."""
        low, high = self.interval(confidence)
        seeds = min(self.ours.seeds, self.theirs.seeds)
        return Estimate(mean=self.mean, low=low, high=high, examples=self.ours.examples, seeds=seeds)

    @cached_property
    def p_of_t(self) -> float:
        """Two-sided, by the variance over seeds and examples: the randomisation below knows nothing of seeds."""
        from scipy.stats import t

        variance, freedom = self._noise()
        if variance == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * t.sf(abs(self.mean) / math.sqrt(variance), freedom))

    def _noise(self, seeds: int = 0, examples: int | None = None) -> tuple[float, float]:
        examples = self.ours.examples if examples is None else examples
        both = [side.components(seeds, examples) for side in (self.ours, self.theirs)]
        interaction = self.ours.interaction_variance + self.theirs.interaction_variance
        alone = max(0.0, self._example_variance - interaction) * self.ours.examples / examples
        return _combine_variances(alone + sum(side.interaction for side in both), examples, both)

    @cached_property
    def _example_variance(self) -> float:
        return _compute_variance_of_mean(self.ours.influence_SE.mean(axis=0) - self.theirs.influence_SE.mean(axis=0))


def estimate(scored: ScoreMatrix, confidence: float) -> Estimate:
    """A score with its interval; see `_around`. One example says nothing about the spread of examples."""
    of_examples = _compute_variance_of_mean(scored.influence_SE.mean(axis=0))
    variance, freedom = _combine_variances(
        of_examples, scored.examples, [scored.components(scored.seeds, scored.examples)]
    )
    low, high = _make_interval(scored.mean, scored.deviations_R, variance, freedom, confidence)
    return Estimate(mean=scored.mean, low=low, high=high, examples=scored.examples, seeds=scored.seeds)


def compute_randomization_p(differences_PE: Array) -> Array:
    """Paired approximate randomisation: a p-value, two-sided, for each row of paired differences.

    If two methods were alike, each example's two scores could as well be swapped. The p-value is the share of random
    swappings whose sum is at least as far from zero, the one observed counted among them.

    Source: Riezler and Maxwell 2005, W05-0908; scipy.stats.permutation_test of kind "samples" does the same to one
    pair at a time.
    """
    generator = np.random.default_rng(2)
    observed_P, reached_P = np.abs(differences_PE.sum(axis=1)) * (1 - 1e-12), np.ones(len(differences_PE))
    for flips in (BLOCK,) * (SIGN_FLIPS // BLOCK):  # all at once would hold ten thousand copies of the split
        signs_RE = 2.0 * generator.integers(2, size=(flips, differences_PE.shape[1]), dtype=np.int8) - 1
        reached_P += (np.abs(signs_RE @ differences_PE.T) >= observed_P).sum(axis=0)
    return np.asarray(reached_P / (1 + SIGN_FLIPS))


def compute_p_values(several: Sequence[PairedDifference]) -> list[float]:
    """Of no difference, for each of several pairs, after Holm's correction over all of them."""
    randomised = compute_randomization_p(np.array([apart.differences_E for apart in several]))
    # the larger of two: one knows nothing of seeds, the other takes the noise for normal
    return adjust_holm([max(float(p), apart.p_of_t) for p, apart in zip(randomised, several, strict=True)])


def adjust_holm(ps: Sequence[float]) -> list[float]:
    """p-values after Holm's correction: the chance that any of all these findings is false stays below the level."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def _make_interval(
    mean: float, deviations_R: Array, variance: float, freedom: float, confidence: float
) -> tuple[float, float]:
    """An interval that leans as a hierarchical bootstrap does, as wide as its variance and Student's t make it.

    The bootstrap alone is too wide and too narrow: what a training does to an example is resampled twice, with the
    seeds and with the examples, and of two or three seeds there are few resamples, none of them far out.
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


def _combine_variances(of_examples: float, examples: int, methods: Sequence[Components]) -> tuple[float, float]:
    """Variance, and its degrees of freedom.

    The examples show a part of what the seeds show, the interaction, so it is taken away once. How well the sum is
    known depends on all that was measured to get it, not on what was left: where the luck comes out as zero, it is
    still known by few seeds only.

    Source: Satterthwaite 1946, "An approximate distribution of estimates of variance components".
    """
    variance = of_examples + sum(one.luck for one in methods)
    measured = [(of_examples, examples - 1)]
    measured += [(one.between_seeds, one.seeds - 1) for one in methods]
    measured += [(one.interaction, (one.seeds - 1) * (examples - 1)) for one in methods]
    unsure = sum(part**2 / freedom for part, freedom in measured if freedom > 0)
    return variance, variance**2 / unsure if unsure > 0 else math.inf


@functools.cache
def _draw_example_weights(examples: int) -> Array:
    """How often each example is drawn in each resample, (R, E): seeded, so that a report repeats its digits."""
    draws = np.random.default_rng(0).multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES)
    return draws.astype(np.float64)


@functools.cache
def _draw_seed_weights(seeds: int, stream: int) -> Array:
    """Each seed's share in each resample, (R, S); other methods' seeds are drawn apart from these."""
    draws = np.random.default_rng([1, stream]).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    return draws.astype(np.float64) / seeds
