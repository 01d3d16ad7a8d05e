"""Differences between all methods of a comparison, judged together.

The intervals are simultaneous: with the stated confidence, all of them contain their true difference. So whichever
methods a reader compares, the best two included, an interval that excludes zero is a difference beyond noise, and no
further correction is needed. The critical values are those of the studentized range, with each pair's own variance
and degrees of freedom.

Source: Games and Howell 1976, "Pairwise multiple comparison procedures with unequal n's and/or variances". Tukey's
procedure is the same with one variance for all pairs.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tuneoff.analysis.seed_noise import estimate_seed_noise
from tuneoff.analysis.statistics import (
    Estimate,
    Part,
    ScoreMatrix,
    combine_parts,
    compute_variance_of_mean,
)
from tuneoff.analysis.studentized_range import compute_quantile, compute_tail

if TYPE_CHECKING:
    from tuneoff.analysis.statistics import Array

FEW_EXAMPLES = 50  # up to so many examples that differ, the t distribution is checked by a randomization test
EXAMPLES_ERROR = 0.7  # the share of the error for the part from the examples, if later looks move around its limit
SIGN_FLIPS = 10_000  # of the randomization test
FREEDOMS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 8, 12, 20, 40, 120, math.inf)  # at which quantiles are computed


@dataclass(frozen=True)
class PairedDifference:
    """The difference `first.mean - second.mean` of two methods that answered the same examples.

    Args:
        run_parts: the parts of the variance of one run's mean, for each of the two; empty for the base model, and for a
            method with one run, whose variation between runs is unknown.
        methods: how many methods are compared at once.
        look_confidence: the confidence that this look has if the methods are compared again after every further seed;
            see `tuneoff.analysis.error_spending`. None: they are compared once.
    """

    first: ScoreMatrix
    second: ScoreMatrix
    run_parts: tuple[tuple[Part, ...], tuple[Part, ...]]
    methods: int = 2
    look_confidence: float | None = None

    @property
    def mean(self) -> float:
        return self.first.mean - self.second.mean

    @property
    def largest(self) -> float:
        """The largest difference that can be: that between the ends of the range of scores."""
        low, high = self.first.bounds
        return max(high - low, abs(self.mean))  # the mean may be off by a rounding

    @property
    def knows_seed_variance(self) -> bool:
        """Whether the interval covers the variation between runs of both methods, and neither was trained only once."""
        return all(side.seeds > 1 or not side.trained for side in (self.first, self.second))

    @property
    def knows_noise(self) -> bool:
        """Whether the interval covers the variation over examples too, which one alone does not show."""
        return self.first.examples > 1 and self.knows_seed_variance

    @cached_property
    def differences_E(self) -> Array:
        """Each example's part of the difference, averaged over seeds."""
        first_E, second_E = self.first.numerators_SE.mean(axis=0), self.second.numerators_SE.mean(axis=0)
        return np.asarray((first_E - second_E) / self.first.denominators_E.mean())

    @cached_property
    def between_examples_variance(self) -> float:
        """The variance of the difference as observed between examples; it contains the interaction."""
        differences_E = self.first.influence_SE.mean(axis=0) - self.second.influence_SE.mean(axis=0)
        return compute_variance_of_mean(differences_E, self.first.leverage_E) + self.first.step_variance

    def compute_parts(self, seeds: int | None = None, examples: int | None = None) -> list[Part]:
        """The parts of the variance of the difference, or those expected with other numbers of seeds and examples.

        Args:
            seeds: of each method that was trained; it changes nothing for a method with one run.
            examples: of the test split.
        """
        more_examples = (examples or self.first.examples) / self.first.examples
        interaction = self.compute_interaction(seeds, examples)
        examples_alone = self._compute_examples_alone(examples)
        between_seeds = [
            Part(part.variance * _scale(matrix, parts, more_examples) / count, _scale_freedom(part, matrix, count))
            for matrix, parts, count in self._list_sides(seeds)
            for part in parts
        ]
        example_freedom = self.first.effective_examples * more_examples - 1
        return combine_parts(examples_alone + interaction, interaction, between_seeds, example_freedom)

    def _compute_examples_alone(self, examples: int | None = None) -> float:
        """The variance of the difference between examples without the interaction: no further seed changes it."""
        more_examples = (examples or self.first.examples) / self.first.examples
        return max(0.0, self.between_examples_variance - self.compute_interaction()) / more_examples

    def compute_interaction(self, seeds: int | None = None, examples: int | None = None) -> float:
        """The part of the variance of the difference from both methods' seed-example interaction."""
        more_examples = (examples or self.first.examples) / self.first.examples
        return sum(m.interaction_variance / count / more_examples for m, _, count in self._list_sides(seeds))

    def _list_sides(self, seeds: int | None) -> list[tuple[ScoreMatrix, tuple[Part, ...], int]]:
        """Each method with the parts of its variance between runs and its number of seeds."""
        sides = zip((self.first, self.second), self.run_parts, strict=True)
        return [(matrix, parts, seeds if seeds and parts else matrix.seeds) for matrix, parts in sides]

    def compute_half_width(self, confidence: float, seeds: int | None = None, examples: int | None = None) -> float:
        """Half the width of the simultaneous interval, as observed or as expected with other numbers.

        The half-widths from each part of the variance are added in quadrature; see `statistics.compute_half_width`.
        With several looks, the parts that each further seed renews have the confidence of the look. The examples are
        the same at every look, so their part misleads hardly more often than once.
        """
        at_look = self.look_confidence or confidence
        parts = [part for part in self.compute_parts(seeds, examples)[1:] if part.variance > 0]
        squares = [get_critical_value(self.methods, part.freedom, at_look) ** 2 * part.variance for part in parts]
        return math.sqrt(sum(squares, self.square_examples_width(confidence, self.look_confidence, seeds, examples)))

    def square_examples_width(
        self, confidence: float, look_confidence: float | None, seeds: int | None = None, examples: int | None = None
    ) -> float:
        """The square of the half-width from the part of the variance between examples, with the interaction in it.

        Args:
            look_confidence: of one of several looks; None: the methods are compared once.
        """
        of_examples = self.compute_parts(seeds, examples)[0]
        if of_examples.variance == 0:
            return 0.0
        at_look = get_critical_value(self.methods, of_examples.freedom, look_confidence or confidence)
        square = at_look**2 * of_examples.variance
        if look_confidence:
            level = 1 - EXAMPLES_ERROR * (1 - confidence)
            once = get_critical_value(self.methods, of_examples.freedom, level)
            square += (once**2 - at_look**2) * self._compute_examples_alone(examples)
        return square

    def estimate(self, confidence: float) -> Estimate:
        """The difference with its simultaneous interval, which ends where no difference can be.

        With few examples that differ, an interval whose randomization test is not significant is extended to zero.
        """
        half_width = self.compute_half_width(confidence)
        low, high = self.mean - half_width, self.mean + half_width
        if not low <= 0 <= high and self.randomization_p > 1 - confidence:
            low, high = min(low, 0.0), max(high, 0.0)
        return Estimate(
            mean=self.mean,
            low=max(low, -self.largest),
            high=min(high, self.largest),
            examples=self.first.examples,
            seeds=min(self.first.seeds, self.second.seeds),
        )

    def compute_p(self, confidence: float, shift: float = 0.0) -> float:
        """The p-value of no difference, adjusted for all differences between the methods.

        It is below `1 - confidence` where the interval at that confidence excludes zero.

        Args:
            shift: how much of the difference is not believed, in its unit.
        """
        deviation = math.sqrt(sum(part.variance for part in self.compute_parts()))
        distance = max(0.0, abs(self.mean) - shift)
        if deviation == 0:
            return 1.0 if distance == 0 else 0.0
        half_width = self.compute_half_width(confidence)
        freedom = find_freedom(self.methods, half_width / deviation, confidence)
        errors = distance / half_width * get_critical_value(self.methods, freedom, confidence)
        p = compute_tail(math.sqrt(2) * errors, self.methods, freedom)
        return max(min(1.0, p), self.randomization_p if distance > 0 else 1.0)

    @cached_property
    def randomization_p(self) -> float:
        """The p-value of a randomization test over examples, adjusted for all differences; 0 with many examples.

        With few examples the t distribution may be far from theirs: five examples that all get better are no proof,
        however equal their gains.
        """
        from scipy.special import ndtri

        differing_E = self.differences_E[self.differences_E != 0]
        if not 0 < len(differing_E) <= FEW_EXAMPLES:
            return 0.0
        p = compute_randomization_p(differing_E)
        return compute_tail(math.sqrt(2) * float(-ndtri(p / 2)), self.methods, math.inf) if p < 1 else 1.0


def compare_all(
    matrices: Sequence[ScoreMatrix], *, methods: int | None = None, look_confidence: float | None = None
) -> dict[tuple[int, int], PairedDifference]:
    """Return the difference of every two methods by their indices, the smaller one first.

    Args:
        methods: how many methods are compared at once, if some are no longer among the matrices.
        look_confidence: see `PairedDifference`.
    """
    noise = estimate_seed_noise(matrices)

    def build_difference(i: int, j: int) -> PairedDifference:
        parts = noise.paired if matrices[i].trained and matrices[j].trained else noise.alone
        return PairedDifference(
            matrices[i], matrices[j], (parts[i], parts[j]), methods or len(matrices), look_confidence
        )

    return {(i, j): build_difference(i, j) for i, j in itertools.combinations(range(len(matrices)), 2)}


def compute_randomization_p(differences_E: Array) -> float:
    """The two-sided p-value of a paired randomization test.

    If two methods were equal, the sign of each example's difference would be arbitrary. The p-value is the share of
    random sign flips whose sum is at least as far from zero as the observed one, which counts as one of them. The small
    p-values that a large family needs cannot be counted; they are Hoeffding's bound of the share of all flips.

    Source: Riezler and Maxwell 2005, W05-0908; Hoeffding 1963, theorem 2.
    """
    signs_RE = _draw_signs(len(differences_E))
    observed = abs(differences_E.sum()) * (1 - 1e-12)
    drawn = (1 + (np.abs(signs_RE @ differences_E) >= observed).sum()) / (1 + SIGN_FLIPS)
    return float(min(drawn, 2 * np.exp(-(observed**2) / (2 * (differences_E**2).sum()))))


def get_significant_p(methods: int, confidence: float) -> float:
    """The largest p-value of a pair's randomization test that is significant among all pairs."""
    from scipy.special import ndtr

    return float(2 * ndtr(-get_critical_value(methods, math.inf, confidence)))


def find_significant_means(residuals_RE: Array, p: float) -> Array:
    """The mean beyond which the randomization test has at most this p-value, for each row of residuals, (R,).

    A sign flip with the sum `a` of its signs and the sum `b` of the flipped residuals counts while the mean is at most
    the larger of `b / (examples - a)` and `-b / (examples + a)`. Infinite if no mean is large enough.
    """
    examples = residuals_RE.shape[1]
    errors = 2 * math.log(2 / p)  # of Hoeffding's bound: the square of a sum, as a multiple of the sum of squares
    bounds_R = np.full(len(residuals_RE), np.inf)
    if examples > errors:
        bounds_R = np.sqrt(errors * (residuals_RE**2).sum(axis=1) / (examples * (examples - errors)))
    counted = math.floor(p * (1 + SIGN_FLIPS) * (1 + 1e-12)) - 1  # how many flips may count
    if counted < 0:
        return bounds_R
    signs_FE = _draw_signs(examples)
    sums_F1, flipped_FR = signs_FE.sum(axis=1, keepdims=True), signs_FE @ residuals_RE.T
    with np.errstate(divide="ignore", invalid="ignore"):
        limits_FR = np.fmax(flipped_FR / (examples - sums_F1), -flipped_FR / (examples + sums_F1))
    limits_FR[np.abs(sums_F1[:, 0]) == examples] = np.inf  # nothing, or everything, is flipped: it always counts
    return np.asarray(np.minimum(bounds_R, -np.partition(-limits_FR, counted, axis=0)[counted]))


@functools.lru_cache(maxsize=8)
def _draw_signs(examples: int) -> Array:
    return np.random.default_rng(2).choice(np.array([-1.0, 1.0]), size=(SIGN_FLIPS, examples))


def get_critical_value(methods: int, freedom: float, confidence: float) -> float:
    """How many standard errors the simultaneous interval of a difference extends to each side.

    For two methods it is the quantile of Student's t. For more it is that of the studentized range, divided by the
    square root of two, interpolated between degrees of freedom.
    """
    from scipy.special import stdtrit

    if methods <= 2:
        return float(-stdtrit(freedom, (1 - confidence) / 2))
    inverse, logs = _tabulate(methods, confidence)
    return float(np.exp(np.interp(1 / max(freedom, FREEDOMS[0]), inverse, logs)))


@functools.cache
def _tabulate(methods: int, confidence: float) -> tuple[Array, Array]:
    """Return 1 / degrees of freedom, rising, and the logarithm of the critical value for each."""
    freedoms = FREEDOMS[::-1]
    quantiles = np.array([compute_quantile(confidence, methods, freedom) for freedom in freedoms])
    return 1 / np.array(freedoms), np.log(quantiles / math.sqrt(2))


def find_freedom(methods: int, critical: float, confidence: float) -> float:
    """The degrees of freedom with a critical value, the inverse of `get_critical_value`."""
    from scipy.optimize import brentq

    def excess(inverse: float) -> float:
        return get_critical_value(methods, 1 / inverse, confidence) - critical

    fewest, most = 1 / FREEDOMS[0], 1e-6
    if excess(fewest) <= 0:
        return FREEDOMS[0]
    return math.inf if excess(most) >= 0 else 1 / float(brentq(excess, most, fewest))


def _scale(matrix: ScoreMatrix, parts: Sequence[Part], more_examples: float) -> float:
    """The factor by which more examples reduce the variance of one run's mean: only its interaction shrinks."""
    total = sum(part.variance for part in parts)
    interaction = min(matrix.interaction_variance, total)
    return (total - interaction + interaction / more_examples) / total if total > 0 else 1.0


def _scale_freedom(part: Part, matrix: ScoreMatrix, seeds: int) -> float:
    return part.freedom * (seeds - 1) / (matrix.seeds - 1)
