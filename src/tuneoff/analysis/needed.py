"""How many seeds or test examples would decide a pair, with the chance of a decision averaged over what is possible.

The power at the observed difference would promise too much: of several methods the one that leads often does so by
chance, and a true difference near zero is not decided by any number. So the probability is averaged over the posterior
(the assurance), with the scores so far as a part of the scores to come.

Source: O'Hagan, Stevens and Campbell 2005, "Assurance in clinical trial design".
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuneoff.analysis.error_spending import get_look_confidence
from tuneoff.analysis.family import (
    FEW_EXAMPLES,
    find_significant_means,
    get_critical_value,
    get_significant_p,
)
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.posterior import Posterior
from tuneoff.analysis.statistics import WELL_KNOWN_SHARE

if TYPE_CHECKING:
    from tuneoff.analysis.statistics import Array

MOST_SEEDS, MOST_EXAMPLES = 50, 100_000  # the largest numbers considered as what would decide a pair
POWER = 0.8  # the probability of a decision that the further seeds or examples should give


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How many seeds or examples in all would decide a pair if only one is raised."""

    pair: Pair
    seeds: int | None  # of each method; None: no number would, or with one seed the seed variance is unknown
    examples: int | None  # of the test split; None: no number would


@dataclass(frozen=True)
class Outlook:
    """The probability that a pair is decided by further seeds or examples.

    Args:
        columns: the two methods' columns of the posterior, in the order of the pair.
        margin: the smallest difference that matters, in the metric's unit.
        planned: the seeds that a comparison is planned for that runs until it is decided; its looks are stricter.
        gains: what a better learning rate might still gain, for the better and the other method, in the metric's unit.
    """

    pair: Pair
    posterior: Posterior
    columns: tuple[int, int]
    margin: float
    confidence: float
    planned: int | None = None
    gains: tuple[float, float] = (0.0, 0.0)

    def compute_chance(self, seeds: int | None = None, examples: int | None = None) -> float:
        """The probability that the pair is then shown to differ, or to be equal within the margin."""
        paired, (first, second) = self.pair.paired, self.columns
        seeds_now, examples_now = max(paired.first.seeds, paired.second.seeds), paired.first.examples
        old_seeds, old_examples = seeds_now / (seeds or seeds_now), examples_now / (examples or examples_now)
        draws = self.posterior
        run_R = draws.compute_run_variance(self.columns, (paired.first.seeds, paired.second.seeds))
        covariance = draws.example_covariance_MM
        example_variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
        added_R = old_examples * (1 - old_examples) * example_variance + old_seeds * (1 - old_seeds) * run_R
        future_R = (
            _subtract(draws.means_RM, self.columns)
            + old_examples * _subtract(draws.example_noise_RM, self.columns)
            + old_seeds * _subtract(draws.seed_noise_RM, self.columns)
            + np.sqrt(added_R) * np.random.default_rng(4).normal(size=len(added_R))
        )
        half_width_R = self._compute_half_widths(seeds, examples, run_R * old_seeds)
        lead_R = future_R if self.pair.metric.higher_is_better else -future_R
        low_R, high_R = lead_R - half_width_R - self.gains[1], lead_R + half_width_R + self.gains[0]
        is_equal_R = (low_R >= -self.margin) & (high_R <= self.margin)
        is_rare_R = np.abs(future_R) >= self._compute_least_difference(examples or examples_now)
        return float((((low_R > 0) | (high_R < 0)) & is_rare_R | is_equal_R).mean())

    def _compute_least_difference(self, examples: int) -> float:
        """The least difference that passes the randomization test over so many examples; 0 if enough of them differ.

        The differences of further examples are taken to be those so far again, around another mean.
        """
        differences_E = self.pair.paired.differences_E
        differing_E = differences_E[differences_E != 0]
        differing = round(examples * len(differing_E) / len(differences_E))
        if not 0 < differing <= FEW_EXAMPLES:
            return 0.0
        residuals_E = np.resize(differing_E, differing)
        p = get_significant_p(self.pair.paired.methods, self.confidence)
        limits_1 = find_significant_means((residuals_E - residuals_E.mean())[None], p)
        return float(limits_1[0]) * differing / examples

    def _compute_half_widths(self, seeds: int | None, examples: int | None, run_R: Array) -> Array:
        """The half-width of the interval to come, (R,).

        Its variance between runs is estimated from the runs so far, which are known, and from further ones, which vary
        as each draw says.

        Args:
            run_R: each draw's variance between runs of the difference to come, without the interaction.
        """
        paired = self.pair.paired
        _, *of_seeds = paired.compute_parts(seeds, examples)
        at_look = self._get_look_confidence(seeds)
        squared_R = np.full(len(run_R), paired.square_examples_width(self.confidence, at_look, seeds, examples))
        if of_seeds:
            runs_now = max(paired.first.seeds, paired.second.seeds)
            known = (runs_now - 1) / ((seeds or runs_now) - 1)
            drawn_R = run_R + (1 - WELL_KNOWN_SHARE) * paired.compute_interaction(seeds, examples)
            variance_R = known * sum(part.variance for part in of_seeds) + (1 - known) * drawn_R
            freedom = min(part.freedom for part in of_seeds)
            squared_R += get_critical_value(paired.methods, freedom, at_look or self.confidence) ** 2 * variance_R
        return np.asarray(np.sqrt(squared_R))

    def _get_look_confidence(self, seeds: int | None) -> float | None:
        """The confidence of the look after these seeds; None if the methods are compared once."""
        if self.planned and seeds:
            return get_look_confidence(seeds, self.planned, self.confidence)
        return self.pair.paired.look_confidence


def estimate_needed(outlook: Outlook) -> Needed:
    """Estimate how many seeds, or how many examples, would decide a pair with a probability of `POWER`."""
    paired = outlook.pair.paired
    more_seeds = range(max(paired.first.seeds, paired.second.seeds) + 1, MOST_SEEDS + 1)
    more_examples = list_example_counts(paired.first.examples)[1:]
    return Needed(
        pair=outlook.pair,
        seeds=_find_smallest(more_seeds, lambda count: outlook.compute_chance(seeds=count)),
        examples=_find_smallest(more_examples, lambda count: outlook.compute_chance(examples=count)),
    )


def _find_smallest(counts: Sequence[int], compute_chance: Callable[[int], float]) -> int | None:
    """The smallest count with a chance of at least `POWER`, where the chance rises with the count; None if none has."""
    if not counts or compute_chance(counts[-1]) < POWER:
        return None
    return counts[bisect.bisect_left(counts, POWER, key=compute_chance)]


def compute_power(variance: float, freedom: float, difference: float, critical: float) -> float:
    """The probability that a t-test with this critical value finds a difference of this size with the right sign.

    It is that of the noncentral t distribution.
    """
    from scipy.stats import nct, norm

    if variance <= 0:
        return 1.0
    noncentrality = difference / math.sqrt(variance)
    if not math.isfinite(freedom) or freedom > 1000:
        return float(norm.sf(critical - noncentrality))
    return float(nct.sf(critical, freedom, noncentrality))


def rank_effort(needed: Needed) -> float:
    """The effort to decide a pair, larger for more; a hundred examples count as one seed."""
    return min(needed.seeds or math.inf, (needed.examples or math.inf) / 100)


def _subtract(values_RM: Array, columns: tuple[int, int]) -> Array:
    first, second = columns
    return np.asarray(values_RM[:, first] - values_RM[:, second])


def list_example_counts(examples: int) -> list[int]:
    """Numbers of examples to consider: the given one, and then each a tenth more, rounded up to two digits."""
    counts = [examples]
    while counts[-1] < MOST_EXAMPLES:
        count = max(counts[-1] * 1.1, counts[-1] + 1)
        digit = 10 ** max(0, math.floor(math.log10(count)) - 1)
        counts.append(math.ceil(count / digit) * digit)
    return counts
