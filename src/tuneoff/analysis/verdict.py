"""Who won by a metric: a winner, a tie, or not enough evidence, and then what would settle it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tuneoff.analysis.comparison import Comparison, Pair, Row, get_margin
from tuneoff.analysis.metrics import Metric

MOST_SEEDS, MOST_EXAMPLES = 50, 100_000  # beyond these nobody would go
POWER = 0.8  # the chance of a decision that the further seeds or examples should give


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What it would take in all, other things as they are, to decide a pair by its difference as observed."""

    pair: Pair
    seeds: int | None  # of each method; None: no number of seeds would, or with one seed their noise is unknown
    examples: int | None  # of the test split; None: no number of examples would


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome by one metric."""

    metric: Metric
    kind: Literal["winner", "tie", "open"]
    best: Row  # by the mean
    leaders: tuple[Row, ...]  # the best, and all that are not shown to be worse
    cheapest: Row  # of the leaders, by the cost that the recipe names
    needed: Needed | None  # for the leader that is hardest to tell apart; None unless open


def decide_verdict(comparison: Comparison, metric: Metric) -> Verdict:
    """Judge all rows with a score by one metric.

    Raises:
        ValueError: there are none.
    """
    best, *others = comparison.ranked(metric) or (None,)
    if best is None:
        raise ValueError(f"no method has a score by {metric.name}")
    pairs = [comparison.pair(metric, best, other) for other in others]
    undecided = [pair for pair in pairs if pair.decision == "open"]
    leaders = (best, *(pair.other for pair in pairs if pair.decision != "different"))
    by = comparison.run.recipe.verdict.cheaper_by
    cheapest = min(leaders, key=lambda row: _get_cost(row, by))
    kind: Literal["winner", "tie", "open"] = "open" if undecided else "tie" if len(leaders) > 1 else "winner"
    settling = [estimate_needed(pair, comparison) for pair in undecided]
    return Verdict(
        metric=metric,
        kind=kind,
        best=best,
        leaders=leaders,
        cheapest=cheapest,
        needed=max(settling, key=_rank_effort) if settling else None,
    )


def _get_cost(row: Row, by: str) -> float:
    """A cost; what was not trained has none in training and no files, and what was not measured is the dearest."""
    untrained = row.costs.get("trainable") == 0 and by != "token_ms"
    return row.costs.get(by, 0.0 if untrained else math.inf)


def estimate_needed(pair: Pair, comparison: Comparison) -> Needed:
    """How many seeds, or how many examples, would decide a pair with `POWER`, if the difference is as observed."""
    apart = pair.apart
    several = [side.seeds for side in (apart.ours, apart.theirs) if side.seeds > 1]  # of one, the noise is not known
    more_seeds = range(min(several) + 1, MOST_SEEDS + 1) if several else ()
    more_examples = _list_example_counts(apart.ours.examples)
    chance = _make_chance(pair, comparison)
    return Needed(
        pair=pair,
        seeds=next((s for s in more_seeds if chance(s, apart.ours.examples) >= POWER), None),
        examples=next((e for e in more_examples if chance(0, e) >= POWER), None),
    )


def _make_chance(pair: Pair, comparison: Comparison) -> Callable[[int, int], float]:
    """The chance that a pair is decided with at least so many seeds and so many examples.

    A difference as large as the margin is to be told from zero, against all the pairs that Holm's correction counts
    with it, and to stay that large. A smaller one is to be told from the margin, on both sides.
    """
    from scipy.stats import norm

    options = comparison.run.recipe.verdict
    observed, margin = abs(pair.apart.mean), get_margin(pair.metric, options)
    with_it = sum(other.p >= pair.p for other in comparison.pairs(pair.metric))
    corrected = 1 - (1 - options.confidence) / with_it

    def chance(seeds: int, examples: int) -> float:
        if observed >= margin and 2.0 ** (1 - examples) > 1 - corrected:
            return 0.0  # so few examples have no swapping that is rare enough
        variance, freedom = pair.apart.variance(seeds, examples), pair.apart.freedom(seeds, examples)
        if observed < margin:
            sides = [
                compute_power(variance, freedom, margin + side, options.confidence) for side in (-observed, observed)
            ]
            return sum(sides) - 1
        stays = float(norm.cdf((observed - margin) / math.sqrt(variance))) if variance > 0 else 1.0
        return min(stays, compute_power(variance, freedom, observed, corrected))

    return chance


def compute_power(variance: float, freedom: float, distance: float, confidence: float) -> float:
    """The chance that a difference is found: Student's t, two-sided, shifted by the difference."""
    from scipy.stats import nct, norm, t

    if variance <= 0:
        return 1.0
    shift, tail = distance / math.sqrt(variance), (1 - confidence) / 2
    if not math.isfinite(freedom) or freedom > 1000:
        return float(norm.sf(norm.isf(tail) - shift))
    return float(nct.sf(t.isf(tail, freedom), freedom, shift))


def _list_example_counts(examples: int) -> list[int]:
    """Numbers of examples to try, a tenth more each, to two digits."""
    numbers, there = [], float(examples)
    while there < MOST_EXAMPLES:
        there = max(there * 1.1, there + 1)
        digits = 10 ** max(0, len(str(int(there))) - 2)
        numbers.append(math.ceil(there / digits) * digits)
    return numbers


def _rank_effort(needed: Needed) -> float:
    """What is hardest to settle comes last."""
    return min(needed.seeds or math.inf, (needed.examples or math.inf) / 100)
