"""Calibration of the verdict: how often it finds a difference that does not exist, and one that does.

Whole families of methods without true differences are drawn from a run's stored predictions and judged as the verdict
judges them. Then one method is given a known advantage, and the family is judged again. Everything is computed from
records and a seeded generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.family import PairedDifference, compare_all, find_freedom
from tuneoff.analysis.needed import compute_power
from tuneoff.analysis.null_families import Source, choose_source
from tuneoff.analysis.row import Row
from tuneoff.metrics import LOSS, Metric

TITLES = {LOSS.name: "Loss"}  # in the table, where it is not that of the metric
STATED_POWER = 0.8  # for which the planted difference is chosen
ESCAPED_PIPE = r"\|"  # in a cell, where a plain pipe would end it


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The result of judging many families drawn from one run, by one metric."""

    label: str  # of the run
    metric: Metric
    methods: tuple[str, ...]  # the labels in a family, that with the planted advantage first
    seeds: int  # of each trained method
    examples: int
    source: Literal["records", "simulated"]
    splits: int | None  # distinct ones of the stored seeds; None if simulated
    independent: float  # families that tell as much about `false_share` as those judged
    families: int  # judged without, and as many with a planted advantage
    false_families: int  # with any difference found
    planted_difference: float  # of the first method from all others, in the metric's unit
    stated_power: float  # mean over the others
    detections: int  # differences of the first method from the others that are found, in all families

    @property
    def false_share(self) -> float:
        return self.false_families / self.families

    @property
    def false_interval(self) -> tuple[float, float]:
        """The 95 % interval of the share of false families (Clopper and Pearson), as of independent families only."""
        from scipy.stats import beta

        count, total = self.false_share * self.independent, self.independent
        low = 0.0 if count == 0 else float(beta.ppf(0.025, count, total - count + 1))
        high = 1.0 if count == total else float(beta.ppf(0.975, count + 1, total - count))
        return low, high

    @property
    def observed_power(self) -> float:
        return self.detections / (self.families * (len(self.methods) - 1))


def calibrate_comparisons(
    comparisons: Mapping[str, Comparison], *, seeds: int = 3, families: int = 1000
) -> Iterator[Calibration]:
    """Calibrate on all methods of each comparison, by the first metric of text and by loss.

    Args:
        comparisons: the source of stored predictions, by a name that distinguishes several.
        seeds: of each trained method of a family, two or more. If the records hold fewer than twice as many, the noise
            is simulated.
        families: how many to judge for each comparison and metric.
    """
    for name, comparison in comparisons.items():
        rows = list_family(comparison)
        for metric in _list_metrics(comparison) if rows else ():
            matrices = [row.matrices[metric.name] for row in rows]
            yield calibrate_family(
                choose_source(matrices, seeds),
                label=name if len(comparisons) > 1 else comparison.run.recipe.name,
                metric=metric,
                methods=tuple(row.label for row in rows),
                families=families,
                confidence=comparison.run.recipe.verdict.confidence,
            )


def _list_metrics(comparison: Comparison) -> tuple[Metric, ...]:
    """Return the first metric of text, which is the primary one unless that is the loss, and the loss."""
    of_text = [metric for metric in comparison.metrics if metric.score is not None]
    return (*of_text[:1], LOSS)


def list_family(comparison: Comparison) -> tuple[Row, ...]:
    """The trained methods with at least two seeds, which is what estimating their seed variance takes, and the base
    model; empty if there are no two of them."""
    repeated = tuple(row for row in comparison.rows if len(row.finished) > 1 and not row.is_base)
    base = tuple(row for row in comparison.rows if row.is_base and row.finished)
    return (*repeated, *base) if repeated and len(repeated) + len(base) > 1 else ()


def calibrate_family(
    source: Source, *, label: str, metric: Metric, methods: Sequence[str], families: int, confidence: float
) -> Calibration:
    """Judge families without a difference, and again with one that should be found with `STATED_POWER`.

    The size of the difference follows from the verdict's own estimates: the variance and the half-width it estimates,
    averaged over the families, and the power formula. A variance estimate that is too small shows as false differences,
    a wrong formula as a wrong share of detections. The practical margin is left out; it could only make the verdict
    more careful.
    """
    others = range(1, len(methods))
    false_families, first_pass = 0, []
    for pairs in _draw_families(source, families):
        false_families += find_any_difference(pairs.values(), confidence)
        first_pass.append([_measure(pairs[0, j], confidence) for j in others])
    tests = [_average_test(of_pair, len(methods), confidence) for of_pair in zip(*first_pass, strict=True)]
    planted = _find_detectable_difference(tests)
    detections = 0
    for pairs in _draw_families(source, families):
        detections += sum(_is_detected(pairs[0, j], planted, confidence) for j in others)
    first = pairs[0, 1].first
    return Calibration(
        label=label,
        metric=metric,
        methods=tuple(methods),
        seeds=first.seeds,
        examples=first.examples,
        source=source.name,
        splits=source.splits,
        independent=min(families, source.independent or families),
        families=families,
        false_families=false_families,
        planted_difference=planted,
        stated_power=_average_power(tests, planted),
        detections=detections,
    )


def _draw_families(source: Source, families: int) -> Iterator[Mapping[tuple[int, int], PairedDifference]]:
    """Draw the same families each time; one at a time, because scores of large test splits take much memory."""
    generator = np.random.default_rng(0)
    for _ in range(families):
        yield compare_all(source.draw(generator))


def find_any_difference(pairs: Iterable[PairedDifference], confidence: float) -> bool:
    """Apply the verdict's rule with a margin of zero: whether any pair's interval excludes zero."""
    return any(is_different(pair, confidence) for pair in pairs)


def is_different(pair: PairedDifference, confidence: float) -> bool:
    """Return whether the pair's interval excludes zero."""
    difference = pair.estimate(confidence)
    return not difference.low <= 0 <= difference.high


def _is_detected(pair: PairedDifference, planted: float, confidence: float) -> bool:
    """Return whether a difference that is added to the first side is found, with the first side as the better one."""
    numerators_SE = pair.first.numerators_SE + planted * pair.first.denominators_E
    shifted = replace(pair, first=replace(pair.first, numerators_SE=numerators_SE))
    return shifted.mean > 0 and is_different(shifted, confidence)


@dataclass(frozen=True)
class _Test:
    """The test of one pair, averaged over families."""

    variance: float
    freedom: float
    critical: float  # half-width of the interval in standard errors


def _measure(pair: PairedDifference, confidence: float) -> tuple[float, float]:
    """Return the variance of a difference and the half-width of its interval."""
    return sum(part.variance for part in pair.compute_parts()), pair.compute_half_width(confidence)


def _average_test(measured: Sequence[tuple[float, float]], methods: int, confidence: float) -> _Test:
    variance, half_width = np.mean(measured, axis=0)
    if variance == 0:
        return _Test(0.0, math.inf, 0.0)
    critical = float(half_width / math.sqrt(variance))
    return _Test(float(variance), find_freedom(methods, critical, confidence), critical)


def _average_power(tests: Sequence[_Test], difference: float) -> float:
    return float(np.mean([compute_power(test.variance, test.freedom, difference, test.critical) for test in tests]))


def _find_detectable_difference(tests: Sequence[_Test]) -> float:
    """The difference that is found with `STATED_POWER`, averaged over the pairs."""
    from scipy.optimize import brentq

    deviation = math.sqrt(max(test.variance for test in tests))
    if deviation == 0:
        return 1.0  # without noise any difference is found
    return deviation * float(
        brentq(lambda size: _average_power(tests, size * deviation) - STATED_POWER, 0.0, 100.0, xtol=1e-6)
    )


def build_table(calibrations: Iterable[Calibration]) -> tuple[tuple[str, ...], ...]:
    """A header and one row of strings for each calibration; "95 %" is the interval of the share of false families."""
    header = ("Run", "Metric", "Noise", "Family", "False", "95 %", "Planted", "Found", "Stated")
    return (header, *(tuple(_format_cells(calibration)) for calibration in calibrations))


def _format_cells(calibration: Calibration) -> Iterator[str]:
    low, high = calibration.false_interval
    yield from (calibration.label, TITLES.get(calibration.metric.name, calibration.metric.title))
    yield calibration.source if calibration.splits is None else f"records, {calibration.splits} splits"
    yield f"{len(calibration.methods)} × {calibration.seeds} × {calibration.examples}"
    yield from (f"{100 * calibration.false_share:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}")
    yield f"{calibration.planted_difference:.2g}"
    yield from (f"{100 * calibration.observed_power:.0f} %", f"{100 * calibration.stated_power:.0f} %")


def format_markdown(calibrations: Iterable[Calibration]) -> str:
    """The calibrations as a Markdown table."""
    header, *rows = build_table(calibrations)
    alignment = ("---",) * 3 + ("---:",) * (len(header) - 3)  # text to the left, numbers to the right
    lines = (header, alignment, *rows)
    return "".join(f"| {' | '.join(cell.replace('|', ESCAPED_PIPE) for cell in cells)} |\n" for cells in lines)
