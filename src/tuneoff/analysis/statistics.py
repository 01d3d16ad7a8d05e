"""Scores of one method over seeds and test examples: their mean, its interval, and the parts of its variance.

A method's scores form a seeds × examples matrix with two crossed random factors. The model is

    score = mean + example effect + seed effect + seed-example interaction,

and the variance of a mean is the sum of the variances of its parts, estimated by the method of moments as in a two-way
analysis of variance without replication. How the seed effects of several methods are compared is in
`tuneoff.analysis.seed_noise`, and how their differences are judged together in `tuneoff.analysis.family`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# The interaction is known well from seeds × examples residuals, so this share of it counts with the examples' degrees
# of freedom and not with the few of the seeds. With one half, no ratio of the two makes an interval miss more than
# 5.4 % of the time at three seeds, and 0.2 % at two; with all of it, 7 and 16 % (docs/concepts/calibration.md).
WELL_KNOWN_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval, over examples and, if there are several, seeds."""

    mean: float
    low: float
    high: float
    examples: int
    seeds: int = 1


class Part(NamedTuple):
    """A part of the variance of an estimate, and the degrees of freedom that it was estimated with."""

    variance: float
    freedom: float


@dataclass(frozen=True)
class ScoreMatrix:
    """One method's scores as a ratio of sums, over seeds and test examples.

    Args:
        numerators_SE: one number for each seed and example, such as an example's summed loss. It does not matter
            whether higher is better.
        denominators_E: one number for each example, such as its target tokens; all ones if the ratio is a mean.
        seed_ids: the seed of each row; methods with the same ones are paired over seeds. By default 0, 1, ...
        trained: False for the base model, which has no variation between runs.
        step: the range of a score that counts examples that are right or wrong; 0 for others.
            The observed variance of such scores is zero where all examples agree, and then says nothing.
        bounds: the lowest and the highest score that the ratio can be.
    """

    numerators_SE: Array
    denominators_E: Array
    seed_ids: tuple[int, ...] = field(default=())
    trained: bool = True
    step: float = 0.0
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed_ids", self.seed_ids or tuple(range(len(self.numerators_SE))))
        if self.step:
            object.__setattr__(self, "bounds", (max(self.bounds[0], 0.0), min(self.bounds[1], self.step)))

    def select_seeds(self, seed_ids: Collection[int]) -> ScoreMatrix:
        """The rows of these seeds alone; all if the method was not trained."""
        if not self.trained:
            return self
        kept = [i for i, seed in enumerate(self.seed_ids) if seed in seed_ids]
        return replace(self, numerators_SE=self.numerators_SE[kept], seed_ids=tuple(self.seed_ids[i] for i in kept))

    @property
    def seeds(self) -> int:
        return len(self.numerators_SE)

    @property
    def examples(self) -> int:
        return len(self.denominators_E)

    @cached_property
    def effective_examples(self) -> float:
        """The number of equally weighted examples whose variance would be known as well.

        It is smaller than Kish's number, with which the variance of a mean would be the same: a variance is dominated
        by fewer examples than the mean is. With Kish's, intervals cover 91 % where longer examples have a lower loss
        per token (docs/concepts/calibration.md).

        Source: Bell and McCaffrey 2002, "Bias reduction in standard errors for linear regression with multi-stage
        samples", for the degrees of freedom of a sum of squares with unequal weights.
        """
        squared_E = self.denominators_E**2
        return float(squared_E.sum() ** 2 / (squared_E**2).sum())

    @property
    def step_variance(self) -> float:
        """The variance that two more examples with other outcomes add to that of a mean or a difference.

        Without it, two methods that are both wrong on all of forty examples would be shown to be equal.

        Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions
        based on paired data", which adds an example to either side.
        """
        return 2 * (self.step / self.examples) ** 2

    @cached_property
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
    def leverage_E(self) -> Array:
        """The factor by which leaving out an example changes the ratio more than its influence says; all ones if the
        examples have equal weights. With it, the variance between examples is that of the jackknife."""
        shares_E = self.denominators_E / self.denominators_E.sum()
        return np.asarray((1 - 1 / self.examples) / (1 - shares_E)) if self.examples > 1 else np.ones(1)

    @cached_property
    def seed_effects_S(self) -> Array:
        """The deviation of each seed's mean from the mean over all seeds."""
        return np.asarray(self.influence_SE.mean(axis=1))

    @cached_property
    def run_variance(self) -> float:
        """The variance of one run's mean around the method's, over the same examples; it contains the interaction.
        Zero with one seed, where it is unknown."""
        return float(np.var(self.seed_effects_S, ddof=1)) if self.seeds > 1 else 0.0

    @cached_property
    def interaction_variance(self) -> float:
        """The part of `run_variance` from the seed-example interaction, estimated by the residual mean square.

        The variance between examples contains it as well.
        """
        if self.seeds < 2 or self.examples < 2:
            return 0.0
        u_SE = self.influence_SE
        residuals_SE = u_SE - u_SE.mean(axis=0) - u_SE.mean(axis=1, keepdims=True) + u_SE.mean()
        freedom = (self.seeds - 1) * (self.examples - 1)
        return float((residuals_SE**2).sum() / freedom / self.examples)

    def compute_parts(self) -> list[Part]:
        """The parts of the variance of the mean, judged from this method alone."""
        observed = compute_variance_of_mean(self.influence_SE.mean(axis=0), self.leverage_E)
        between_examples = observed + self.step_variance
        interaction = self.interaction_variance / self.seeds
        between_seeds = Part(max(self.run_variance / self.seeds, interaction), self.seeds - 1)
        return combine_parts(between_examples, interaction, [between_seeds], self.effective_examples - 1)


def estimate_mean(scores: ScoreMatrix, confidence: float) -> Estimate:
    """A score with its interval, which ends where no score can be.

    One example shows no variance between examples, and one seed none between seeds.
    """
    half_width = compute_half_width(scores.compute_parts(), confidence)
    low, high = scores.bounds
    lowest, highest = min(low, scores.mean), max(high, scores.mean)  # the mean may be off by a rounding
    return Estimate(
        mean=scores.mean,
        low=max(scores.mean - half_width, lowest),
        high=min(scores.mean + half_width, highest),
        examples=scores.examples,
        seeds=scores.seeds,
    )


def compute_half_width(parts: Sequence[Part], confidence: float) -> float:
    """Half the width of an interval: the half-widths from each part alone, added in quadrature.

    No part can make the interval too narrow: the width is at least what each part alone requires, with its own degrees
    of freedom. An approximation by one number of degrees of freedom (Satterthwaite 1946) cannot do this, because that
    number jumps when a part is estimated as nearly zero from two or three seeds.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures" (MOVER).
    """
    from scipy.special import stdtrit

    tail = (1 - confidence) / 2
    noisy = (part for part in parts if part.variance > 0)
    return math.sqrt(sum(float(stdtrit(part.freedom, tail)) ** 2 * part.variance for part in noisy))


def compute_variance_of_mean(u_E: Array, leverage_E: Array) -> float:
    """The jackknife variance of a ratio from the influences of its examples; zero with one example."""
    examples = len(u_E)
    return float(((u_E * leverage_E) ** 2).sum() / (examples * (examples - 1))) if examples > 1 else 0.0


def combine_parts(
    between_examples: float, interaction: float, between_seeds: Sequence[Part], example_freedom: float
) -> list[Part]:
    """The parts of a variance whose sum counts the interaction once.

    Args:
        between_examples: as observed between examples, averaged over seeds; it contains the interaction.
        between_seeds: as observed between seeds; together they contain the interaction too.
        example_freedom: the degrees of freedom of the variance between examples, at least those of one example more.
    """
    well_known = WELL_KNOWN_SHARE * interaction
    total = sum(part.variance for part in between_seeds)
    kept = (total - well_known) / total if total > 0 else 0.0
    examples = Part(max(0.0, between_examples - interaction) + well_known, max(example_freedom, 1.0))
    return [examples, *(Part(part.variance * kept, part.freedom) for part in between_seeds)]
