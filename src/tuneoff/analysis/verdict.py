"""The verdict by one metric: a winner, a tie, or not enough evidence, and then what would decide it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tuneoff.analysis.cheapest import find_cheapest
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row
from tuneoff.records.metrics import Metric

MOST_SEEDS, MOST_EXAMPLES = 50, 100_000  # the largest numbers considered as what would decide a pair
POWER = 0.8  # the probability of a decision that the further seeds or examples should give


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How many seeds or examples in all would decide a pair, if only one is raised and the difference stays equal."""

    pair: Pair
    seeds: int | None  # of each method; None: no number would, or with one seed the seed variance is unknown
    examples: int | None  # of the test split; None: no number would


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome by one metric."""

    metric: Metric
    kind: Literal["winner", "tie", "open"]
    best: Row  # by the mean
    leaders: tuple[Row, ...]  # the best, and all that are not shown to be worse
    cheapest: Row  # of the leaders; see `find_cheapest`
    needed: Needed | None  # for the leader that is hardest to separate from the best; None unless open


def decide_verdict(comparison: Comparison, metric: Metric) -> Verdict:
    """Decide the outcome by one metric among all rows with a score.

    Raises:
        ValueError: no row has a score by the metric.
    """
    best, *others = comparison.rank(metric) or (None,)
    if best is None:
        raise ValueError(f"no method has a score by {metric.name}")
    pairs = [comparison.find_pair(metric, best, other) for other in others]
    undecided = [pair for pair in pairs if pair.decision == "open"]
    leaders = (best, *(pair.other for pair in pairs if pair.decision != "different"))
    kind: Literal["winner", "tie", "open"] = "open" if undecided else "tie" if len(leaders) > 1 else "winner"
    needed = [estimate_needed(pair, comparison) for pair in undecided]
    return Verdict(
        metric=metric,
        kind=kind,
        best=best,
        leaders=leaders,
        cheapest=find_cheapest(comparison, leaders).row,
        needed=max(needed, key=_rank_effort) if needed else None,
    )


def estimate_needed(pair: Pair, comparison: Comparison) -> Needed:
    """Estimate how many seeds, or how many examples, would decide a pair with a probability of `POWER`."""
    sides = (pair.paired.first, pair.paired.second)
    examples = pair.paired.first.examples
    several = [side.seeds for side in sides if side.seeds > 1]  # with one seed, the seed variance is unknown
    more_seeds = range(min(several) + 1, MOST_SEEDS + 1) if several else ()
    compute_chance = _make_chance(pair, comparison)
    return Needed(
        pair=pair,
        seeds=next((s for s in more_seeds if compute_chance(s, examples) >= POWER), None),
        examples=next((e for e in _list_example_counts(examples) if compute_chance(0, e) >= POWER), None),
    )


def _make_chance(pair: Pair, comparison: Comparison) -> Callable[[int, int], float]:
    """Return a function from numbers of seeds and examples to the probability that the pair would then be decided.

    A difference of at least the margin has to differ from zero, after Holm's correction over the pairs with a p-value
    at least as large, and to stay at or above the margin. A smaller difference has to be shown to lie within the margin
    on both sides.
    """
    from scipy.stats import norm

    options = comparison.run.recipe.verdict
    observed, margin = abs(pair.paired.mean), pair.metric.margin(options)
    corrected_over = sum(other.p >= pair.p for other in comparison.get_pairs(pair.metric))
    corrected_confidence = 1 - (1 - options.confidence) / corrected_over

    def compute_chance(seeds: int, examples: int) -> float:
        if observed >= margin and 2.0 ** (1 - examples) > 1 - corrected_confidence:
            return 0.0  # with so few examples, even all signs equal is not rare enough in the randomization test
        variance = pair.paired.compute_variance(seeds, examples)
        freedom = pair.paired.compute_freedom(seeds, examples)
        if observed < margin:
            powers = [
                compute_power(variance, freedom, margin + shift, options.confidence) for shift in (-observed, observed)
            ]
            return sum(powers) - 1
        stays = float(norm.cdf((observed - margin) / math.sqrt(variance))) if variance > 0 else 1.0
        return min(stays, compute_power(variance, freedom, observed, corrected_confidence))

    return compute_chance


def compute_power(variance: float, freedom: float, difference: float, confidence: float) -> float:
    """The power of a two-sided t-test against a difference, from the noncentral t distribution."""
    from scipy.stats import nct, norm, t

    if variance <= 0:
        return 1.0
    noncentrality, tail = difference / math.sqrt(variance), (1 - confidence) / 2
    if not math.isfinite(freedom) or freedom > 1000:
        return float(norm.sf(norm.isf(tail) - noncentrality))
    return float(nct.sf(t.isf(tail, freedom), freedom, noncentrality))


def _list_example_counts(examples: int) -> list[int]:
    """Numbers of examples to try, each a tenth more than the one before, rounded up to two digits."""
    counts, count = [], float(examples)
    while count < MOST_EXAMPLES:
        count = max(count * 1.1, count + 1)
        digits = 10 ** max(0, len(str(int(count))) - 2)
        counts.append(math.ceil(count / digits) * digits)
    return counts


def _rank_effort(needed: Needed) -> float:
    """The effort to decide a pair, larger for more; a hundred examples count as one seed."""
    return min(needed.seeds or math.inf, (needed.examples or math.inf) / 100)
