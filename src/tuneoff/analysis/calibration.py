"""Calibration of the verdict: how often it finds a difference that does not exist, and one that does.

A/A pairs, two sides that come from one method under different seeds, are built from stored predictions and judged. Then
a known difference is added to one side and the pair is judged again. Everything is computed from records and a seeded
generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.family import PairedDifference
from tuneoff.analysis.needed import compute_power
from tuneoff.analysis.row import Row, build_score_matrix
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.records.metrics import LOSS, ROUGE_L, Metric

TITLES = {ROUGE_L.name: "ROUGE-L", LOSS.name: "Loss"}  # of the calibrated metrics, in the table
STATED_POWER = 0.8  # for which the planted difference is chosen
ESCAPED_PIPE = r"\|"  # in a cell, where a plain pipe would end it
Draw = Callable[[np.random.Generator], tuple[ScoreMatrix, ScoreMatrix]]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The result of judging many pairs built from one method's predictions, by one metric."""

    label: str
    metric: Metric
    seeds: int  # of each side
    examples: int
    source: Literal["records", "simulated"]  # disjoint groups of stored seeds, or their noise if there are too few
    pairs: int  # judged without, and as many with a planted difference
    false_winners: int
    planted_difference: float  # in the metric's unit
    stated_power: float
    detections: int

    @property
    def false_winner_share(self) -> float:
        return self.false_winners / self.pairs

    @property
    def false_winner_interval(self) -> tuple[float, float]:
        """The exact 95 % interval of the share of false winners (Clopper and Pearson, by scipy)."""
        from scipy.stats import binomtest

        interval = binomtest(self.false_winners, self.pairs).proportion_ci(0.95)
        return float(interval.low), float(interval.high)

    @property
    def observed_power(self) -> float:
        return self.detections / self.pairs


def calibrate_comparisons(
    comparisons: Mapping[str, Comparison], *, seeds: int = 3, pairs: int = 1000
) -> Iterator[Calibration]:
    """Calibrate on every trained method with at least two seeds, by ROUGE-L and by loss.

    Args:
        comparisons: the source of stored predictions, by a name that distinguishes several.
        seeds: of each side of a pair. If the records hold fewer than twice as many, the noise is simulated.
        pairs: how many A/A pairs to judge for each method and metric.
    """
    for name, comparison in comparisons.items():
        for row in list_repeated_rows(comparison):
            label = f"{name}: {row.label}" if len(comparisons) > 1 else row.label
            for metric in (ROUGE_L, LOSS):
                scores = build_score_matrix(row.finished, metric)
                has_enough_seeds = scores.seeds >= 2 * seeds
                yield calibrate_method(
                    draw_from_records(scores, seeds) if has_enough_seeds else draw_simulated(scores, seeds),
                    label=label,
                    metric=metric,
                    source="records" if has_enough_seeds else "simulated",
                    pairs=pairs,
                    confidence=comparison.run.recipe.verdict.confidence,
                )


def list_repeated_rows(comparison: Comparison) -> tuple[Row, ...]:
    """The methods with at least two seeds, which is what estimating their seed variance takes."""
    return tuple(row for row in comparison.rows if len(row.finished) > 1)


def calibrate_method(
    draw: Draw, *, label: str, metric: Metric, source: Literal["records", "simulated"], pairs: int, confidence: float
) -> Calibration:
    """Judge `pairs` A/A pairs, and again with a difference that should be detected with `STATED_POWER`.

    The size of the difference follows from the verdict's own estimates: the variance it estimates, averaged over the
    pairs, and the power formula that tells how many seeds would settle a pair. A variance estimate that is too small
    shows as false winners, a wrong formula as a wrong share of detections. The practical margin is left out; it could
    only make the verdict more careful.
    """
    generator = np.random.default_rng(0)
    differences = [PairedDifference(*draw(generator)) for _ in range(pairs)]
    variance = float(np.mean([paired.compute_variance() for paired in differences]))
    freedom = float(np.median([paired.compute_freedom() for paired in differences]))
    planted = _find_detectable_difference(STATED_POWER, variance, freedom, confidence)
    return Calibration(
        label=label,
        metric=metric,
        seeds=differences[0].first.seeds,
        examples=differences[0].first.examples,
        source=source,
        pairs=pairs,
        false_winners=sum(is_different(paired, confidence) for paired in differences),
        planted_difference=planted,
        stated_power=compute_power(variance, freedom, planted, confidence),
        detections=sum(_is_detected(paired, planted, confidence) for paired in differences),
    )


def is_different(paired: PairedDifference, confidence: float) -> bool:
    """Apply the verdict's rule to one pair, which Holm's correction does not change, with a margin of zero."""
    if paired.t_test_p >= 1 - confidence:
        return False  # the other conditions take a hundred times longer to check, and all must hold
    better = paired if paired.mean > 0 else PairedDifference(paired.second, paired.first)
    (p,) = compute_adjusted_p_values([better])
    return decide(better.estimate(confidence), p, 0.0, confidence) == "different"


def draw_from_records(scores: ScoreMatrix, seeds: int) -> Draw:
    """Draw pairs of disjoint groups of a method's own seeds, over resampled examples."""

    def draw(generator: np.random.Generator) -> tuple[ScoreMatrix, ScoreMatrix]:
        order = generator.permutation(scores.seeds)
        rows = generator.integers(scores.examples, size=scores.examples)
        denominators_E = scores.denominators_E[rows]
        groups = (order[:seeds], order[seeds : 2 * seeds])
        first, second = (
            ScoreMatrix(scores.numerators_SE[np.ix_(group, rows)], denominators_E, stream)
            for stream, group in enumerate(groups)
        )
        return first, second

    return draw


def draw_simulated(scores: ScoreMatrix, seeds: int) -> Draw:
    """Draw pairs with the variance components of a method's own scores.

    Example effects and residuals are resampled from the scores, seed effects are normal. The residuals are scaled up by
    the variance that estimating the effects took from them.
    """
    u_SE = scores.influence_SE
    example_effects_E = u_SE.mean(axis=0)
    residuals_SE = (u_SE - example_effects_E - u_SE.mean(axis=1, keepdims=True)) * np.sqrt(
        scores.seeds / (scores.seeds - 1)
    )
    seed_deviation = np.sqrt(scores.seed_variance * scores.seeds)

    def draw(generator: np.random.Generator) -> tuple[ScoreMatrix, ScoreMatrix]:
        rows = generator.integers(scores.examples, size=scores.examples)
        denominators_E = scores.denominators_E[rows]

        def draw_side(stream: int) -> ScoreMatrix:
            seed_effects_S1 = generator.normal(0, seed_deviation, size=(seeds, 1))
            residuals = residuals_SE[generator.integers(scores.seeds, size=(seeds, scores.examples)), rows]
            influence = example_effects_E[rows] + seed_effects_S1 + residuals
            numerators_SE = scores.mean * denominators_E + influence * scores.denominators_E.mean()
            return ScoreMatrix(numerators_SE, denominators_E, stream)

        return draw_side(0), draw_side(1)

    return draw


def _is_detected(paired: PairedDifference, planted: float, confidence: float) -> bool:
    """Return whether a difference that is added to the first side is found, with the first side as the better one."""
    first = paired.first
    shifted = ScoreMatrix(first.numerators_SE + planted * first.denominators_E, first.denominators_E, first.stream)
    better = PairedDifference(shifted, paired.second)
    return better.mean > 0 and is_different(better, confidence)


def _find_detectable_difference(power: float, variance: float, freedom: float, confidence: float) -> float:
    """The difference that is detected with the given power."""
    from scipy.optimize import brentq

    if variance <= 0:
        return 1.0  # without noise any difference is detected
    deviation = float(np.sqrt(variance))

    def excess_power(size: float) -> float:
        return compute_power(variance, freedom, size * deviation, confidence) - power

    return deviation * float(brentq(excess_power, 0.0, 100.0))


def build_table(calibrations: Iterable[Calibration]) -> tuple[tuple[str, ...], ...]:
    """A header and one row of strings for each calibration; "95 %" is the interval of the share of false winners."""
    header = ("Method", "Metric", "Noise", "Each side", "False", "95 %", "Planted", "Found", "Stated")
    return (header, *(tuple(_format_cells(calibration)) for calibration in calibrations))


def _format_cells(calibration: Calibration) -> Iterator[str]:
    low, high = calibration.false_winner_interval
    yield from (calibration.label, TITLES[calibration.metric.name], calibration.source)
    yield f"{calibration.seeds} × {calibration.examples}"
    yield from (f"{100 * calibration.false_winner_share:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}")
    yield f"{calibration.planted_difference:.2g}"
    yield from (f"{100 * calibration.observed_power:.0f} %", f"{100 * calibration.stated_power:.0f} %")


def format_markdown(calibrations: Iterable[Calibration]) -> str:
    """The calibrations as a Markdown table."""
    header, *rows = build_table(calibrations)
    alignment = ("---",) * 3 + ("---:",) * (len(header) - 3)  # text to the left, numbers to the right
    lines = (header, alignment, *rows)
    return "".join(f"| {' | '.join(cell.replace('|', ESCAPED_PIPE) for cell in cells)} |\n" for cells in lines)
