"""The verdict put to the test: does it find differences that are not there, and those that are?

Two methods that are one and the same (A/A) are made from the stored answers of one method under other seeds, and
judged. To one of them a known difference is then added, and judged again. Pure, but for a seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tuneoff.analysis.comparison import Comparison, Row, collect_scores, decide
from tuneoff.analysis.metrics import METRICS, Metric
from tuneoff.analysis.statistics import PairedDifference, ScoreMatrix, compute_p_values
from tuneoff.analysis.verdict import compute_power

CALIBRATED = {"rougeL": "ROUGE-L", "loss": "Loss"}  # metrics, as the table calls them
STATED = 0.8  # the power for which the planted difference is made
BAR = r"\|"  # in a cell, where a plain one would end it
Draw = Callable[[np.random.Generator], tuple[ScoreMatrix, ScoreMatrix]]


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


def calibrate_comparisons(
    comparisons: Mapping[str, Comparison], *, seeds: int = 3, pairs: int = 1000
) -> Iterator[Calibration]:
    """Calibrate on every trained method with at least two seeds, by ROUGE-L and by loss.

    Args:
        comparisons: whose stored answers to draw from, by a name that tells several apart.
        seeds: of each side of a pair, if the records suffice for two groups of as many; else their noise is simulated.
        pairs: how many A/A pairs to judge for each method and metric.
    """
    calibrated = [metric for metric in METRICS if metric.name in CALIBRATED]
    for name, comparison in comparisons.items():
        for row in can_calibrate(comparison):
            label = f"{name}: {row.label}" if len(comparisons) > 1 else row.label
            for metric in calibrated:
                whole = collect_scores(row.finished, metric)
                enough = whole.seeds >= 2 * seeds
                yield calibrate_method(
                    draw_from_records(whole, seeds) if enough else draw_simulated(whole, seeds),
                    label=label,
                    metric=metric,
                    drawn="records" if enough else "simulated",
                    pairs=pairs,
                    confidence=comparison.run.recipe.verdict.confidence,
                )


def can_calibrate(comparison: Comparison) -> tuple[Row, ...]:
    """The methods whose luck is known, from at least two seeds."""
    return tuple(row for row in comparison.rows if len(row.finished) > 1)


def calibrate_method(
    draw: Draw, *, label: str, metric: Metric, drawn: Literal["records", "simulated"], pairs: int, confidence: float
) -> Calibration:
    """Judge `pairs` pairs as they are drawn, and again with a difference that should be found with `STATED` power.

    Should, by the verdict's own account: from the noise as it estimates it, the mean over the pairs, and by the
    formula that tells how many seeds would settle a pair. Too small an estimate shows in false winners, a wrong formula
    in the share found. The practical margin is left out: with it, the verdict could only be more careful.
    """
    generator = np.random.default_rng(0)
    apart = [PairedDifference(*draw(generator)) for _ in range(pairs)]
    variance = float(np.mean([one.variance() for one in apart]))
    freedom = float(np.median([one.freedom() for one in apart]))
    planted = _find_detectable_size(STATED, variance, freedom, confidence)
    return Calibration(
        label=label,
        metric=metric,
        seeds=apart[0].ours.seeds,
        examples=apart[0].ours.examples,
        drawn=drawn,
        pairs=pairs,
        false_winners=sum(is_different(one, confidence) for one in apart),
        planted=planted,
        stated_power=compute_power(variance, freedom, planted, confidence),
        found=sum(_detects(one, planted, confidence) for one in apart),
    )


def is_different(apart: PairedDifference, confidence: float) -> bool:
    """The verdict's own rule for one pair, where Holm's correction has nothing to correct and the margin is zero."""
    if apart.p_of_t >= 1 - confidence:
        return False  # what else is asked takes a hundred times longer, and must agree
    better = apart if apart.mean > 0 else PairedDifference(apart.theirs, apart.ours)
    (p,) = compute_p_values([better])
    return decide(better.difference(confidence), p, 0.0, confidence) == "different"


def draw_from_records(whole: ScoreMatrix, seeds: int) -> Draw:
    """Pairs of disjoint groups of a method's own seeds, over resampled examples."""

    def draw(generator: np.random.Generator) -> tuple[ScoreMatrix, ScoreMatrix]:
        order = generator.permutation(whole.seeds)
        rows = generator.integers(whole.examples, size=whole.examples)
        bottom_E = whole.bottom_E[rows]
        groups = (order[:seeds], order[seeds : 2 * seeds])
        first, second = (ScoreMatrix(whole.top_SE[np.ix_(g, rows)], bottom_E, i) for i, g in enumerate(groups))
        return first, second

    return draw


def draw_simulated(whole: ScoreMatrix, seeds: int) -> Draw:
    """Pairs whose noise is as large as a method's own: its examples resampled, normal luck for each training, and its
    own residuals, stretched to the variance that estimating them took away."""
    u_SE = whole.influence_SE
    example_E = u_SE.mean(axis=0)
    rest_SE = (u_SE - example_E - u_SE.mean(axis=1, keepdims=True)) * np.sqrt(whole.seeds / (whole.seeds - 1))
    of_seed = np.sqrt(whole.luck_variance * whole.seeds)

    def draw(generator: np.random.Generator) -> tuple[ScoreMatrix, ScoreMatrix]:
        rows = generator.integers(whole.examples, size=whole.examples)
        bottom_E = whole.bottom_E[rows]

        def side(stream: int) -> ScoreMatrix:
            luck_S1 = generator.normal(0, of_seed, size=(seeds, 1))
            rest = rest_SE[generator.integers(whole.seeds, size=(seeds, whole.examples)), rows]
            influence = example_E[rows] + luck_S1 + rest
            return ScoreMatrix(whole.mean * bottom_E + influence * whole.bottom_E.mean(), bottom_E, stream)

        return side(0), side(1)

    return draw


def _detects(apart: PairedDifference, planted: float, confidence: float) -> bool:
    """Whether a difference added to one side is found, and on that side."""
    ours = apart.ours
    better = PairedDifference(
        ScoreMatrix(ours.top_SE + planted * ours.bottom_E, ours.bottom_E, ours.stream), apart.theirs
    )
    return better.mean > 0 and is_different(better, confidence)


def _find_detectable_size(stated: float, variance: float, freedom: float, confidence: float) -> float:
    """The difference that should be found with that power."""
    from scipy.optimize import brentq

    if variance <= 0:
        return 1.0  # without noise, any difference should be
    unit = float(np.sqrt(variance))
    return unit * float(
        brentq(lambda size: compute_power(variance, freedom, size * unit, confidence) - stated, 0.0, 100.0)
    )


def build_table(found: Iterable[Calibration]) -> tuple[tuple[str, ...], ...]:
    """A header and a row of strings for each; of the shares in it, "95 %" is where the false winners' lies."""
    header = ("Method", "Metric", "Noise", "Each side", "False", "95 %", "Planted", "Found", "Stated")
    return (header, *(tuple(_format_cells(one)) for one in found))


def _format_cells(one: Calibration) -> Iterator[str]:
    low, high = one.false_interval
    yield from (one.label, CALIBRATED[one.metric.name], one.drawn, f"{one.seeds} × {one.examples}")
    yield from (f"{100 * one.false_share:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}", f"{one.planted:.2g}")
    yield from (f"{100 * one.observed_power:.0f} %", f"{100 * one.stated_power:.0f} %")


def format_markdown(found: Iterable[Calibration]) -> str:
    """The figures as a Markdown table."""
    header, *rows = build_table(found)
    aligned = ("---",) * 3 + ("---:",) * (len(header) - 3)  # words to the left, numbers to the right
    lines = (header, aligned, *rows)
    return "".join(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n" for cells in lines)
