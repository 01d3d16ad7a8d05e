"""The verdict put to the test: does it find differences that are not there, and those that are?

Two methods that are one and the same (A/A) are made from the stored answers of one method under other seeds, and
judged. To one of them a known difference is then added, and judged again. Pure, but for a seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tuneoff.comparison import METRICS, Comparison, Metric, Row, decide, scored
from tuneoff.judging.noise import Apart, Scored, p_values
from tuneoff.judging.verdict import power

CALIBRATED = tuple(metric for metric in METRICS if metric.name in {"rougeL", "loss"})
STATED = 0.8  # the power for which the planted difference is made
Draw = Callable[[np.random.Generator], tuple[Scored, Scored]]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What came of judging many pairs that are made from one method's answers, by one metric."""

    label: str
    metric: Metric
    seeds: int  # of each side
    examples: int
    drawn: Literal["records", "simulated"]  # disjoint groups of stored seeds, or their noise where there are too few
    pairs: int  # judged without, and as many with a planted difference
    false_winners: int
    planted: float  # in the metric's unit
    stated_power: float
    found: int

    @property
    def false_share(self) -> float:
        return self.false_winners / self.pairs

    @property
    def false_interval(self) -> tuple[float, float]:
        """Of the share of false winners, 95 %, exact. Source: Clopper and Pearson, as scipy has it."""
        from scipy.stats import binomtest

        interval = binomtest(self.false_winners, self.pairs).proportion_ci(0.95)
        return float(interval.low), float(interval.high)

    @property
    def observed_power(self) -> float:
        return self.found / self.pairs


def calibrations(comparisons: Iterable[Comparison], *, seeds: int = 3, pairs: int = 1000) -> Iterator[Calibration]:
    """Calibrate on every trained method with at least two seeds, by ROUGE-L and by loss.

    Args:
        comparisons: whose stored answers to draw from.
        seeds: of each side of a pair, if the records suffice for two groups of as many; else their noise is simulated.
        pairs: how many A/A pairs to judge for each method and metric.
    """
    for comparison in comparisons:
        for row in comparison.rows:
            for metric in CALIBRATED if len(row.finished) > 1 else ():
                yield _calibrated(comparison, row, metric, seeds, pairs)


def _calibrated(comparison: Comparison, row: Row, metric: Metric, seeds: int, pairs: int) -> Calibration:
    whole = scored(row.finished, metric)
    enough = whole.seeds >= 2 * seeds
    draw = from_records(whole, seeds) if enough else simulated(whole, seeds)
    return calibration(
        draw, label=row.label, metric=metric, drawn="records" if enough else "simulated", pairs=pairs,
        confidence=comparison.run.recipe.verdict.confidence,
    )  # fmt: skip


def calibration(
    draw: Draw, *, label: str, metric: Metric, drawn: Literal["records", "simulated"], pairs: int, confidence: float
) -> Calibration:
    """Judge `pairs` pairs as they are drawn, and again with a difference that should be found with `STATED` power.

    The practical margin is left out: with it, the verdict could only be more careful.
    """
    generator = np.random.default_rng(0)
    drawn_pairs = [draw(generator) for _ in range(pairs)]
    first, _ = drawn_pairs[0]
    apart = [Apart(ours, theirs) for ours, theirs in drawn_pairs]
    variance = float(np.var([one.mean for one in apart], ddof=1))  # what truly separates two draws of one method
    freedom = float(np.median([one.freedom(first.seeds, first.examples) for one in apart]))
    planted = _size_for(STATED, variance, freedom, confidence)
    return Calibration(
        label=label,
        metric=metric,
        seeds=first.seeds,
        examples=first.examples,
        drawn=drawn,
        pairs=pairs,
        false_winners=sum(is_different(one, confidence) for one in apart),
        planted=planted,
        stated_power=power(variance, freedom, planted, confidence),
        found=sum(_is_found(ours, theirs, planted, confidence) for ours, theirs in drawn_pairs),
    )


def is_different(apart: Apart, confidence: float) -> bool:
    """The verdict's own rule for one pair, where Holm's correction has nothing to correct and the margin is zero."""
    if apart.p_of_t >= 1 - confidence:
        return False  # what else is asked takes a hundred times longer, and must agree
    better = apart if apart.mean > 0 else Apart(apart.theirs, apart.ours)
    (p,) = p_values([better])
    return decide(better.difference(confidence), p, 0.0, confidence) == "different"


def from_records(whole: Scored, seeds: int) -> Draw:
    """Pairs of disjoint groups of a method's own seeds, over resampled examples."""

    def draw(generator: np.random.Generator) -> tuple[Scored, Scored]:
        order = generator.permutation(whole.seeds)
        rows = generator.integers(whole.examples, size=whole.examples)
        bottom_E = whole.bottom_E[rows]
        groups = (order[:seeds], order[seeds : 2 * seeds])
        first, second = (Scored(whole.top_SE[np.ix_(g, rows)], bottom_E, i) for i, g in enumerate(groups))
        return first, second

    return draw


def simulated(whole: Scored, seeds: int) -> Draw:
    """Pairs whose noise is as large as a method's own: its examples resampled, normal luck for each training, and its
    own residuals, stretched to the variance that estimating them took away."""
    u_SE = whole.influence_SE
    example_E = u_SE.mean(axis=0)
    rest_SE = (u_SE - example_E - u_SE.mean(axis=1, keepdims=True)) * np.sqrt(whole.seeds / (whole.seeds - 1))
    of_seed = np.sqrt(whole.luck_variance * whole.seeds)

    def draw(generator: np.random.Generator) -> tuple[Scored, Scored]:
        rows = generator.integers(whole.examples, size=whole.examples)
        bottom_E = whole.bottom_E[rows]

        def side(stream: int) -> Scored:
            luck_S1 = generator.normal(0, of_seed, size=(seeds, 1))
            rest = rest_SE[generator.integers(whole.seeds, size=(seeds, whole.examples)), rows]
            influence = example_E[rows] + luck_S1 + rest
            return Scored(whole.mean * bottom_E + influence * whole.bottom_E.mean(), bottom_E, stream)

        return side(0), side(1)

    return draw


def _is_found(ours: Scored, theirs: Scored, planted: float, confidence: float) -> bool:
    """Whether a difference added to one side is found, and on that side."""
    better = Apart(Scored(ours.top_SE + planted * ours.bottom_E, ours.bottom_E, ours.stream), theirs)
    return better.mean > 0 and is_different(better, confidence)


def _size_for(stated: float, variance: float, freedom: float, confidence: float) -> float:
    """The difference that should be found with that power."""
    from scipy.optimize import brentq

    if variance <= 0:
        return 0.0
    unit = float(np.sqrt(variance))
    return unit * float(brentq(lambda size: power(variance, freedom, size * unit, confidence) - stated, 0.0, 100.0))


def markdown(found: Sequence[Calibration]) -> str:
    """The figures as a Markdown table."""
    head = ("Method", "Metric", "Seeds", "Examples", "Drawn from", "False winners", "Planted", "Stated power", "Found")
    lines = [head, ("---",) * 2 + ("---:",) * 2 + ("---",) + ("---:",) * 4]
    for one in found:
        low, high = one.false_interval
        lines.append(
            (
                one.label, one.metric.title, str(one.seeds), str(one.examples), one.drawn,
                f"{one.false_share:.1%} [{low:.1%} to {high:.1%}]", f"{one.planted:.3g}", f"{one.stated_power:.0%}",
                f"{one.observed_power:.0%}",
            )
        )  # fmt: skip
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
