"""Every method against every other, by one metric: how far apart, and whether that is decided."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Decision, Pair
from tuneoff.records.metrics import LOSS, ROUGE_L, Metric
from tuneoff.report.format import MINUS, format_score
from tuneoff.report.tables import format_csv

METRICS = (ROUGE_L, LOSS)
MEANINGS = {
    "different": "beyond noise, and large enough to matter",
    "equal": "equal: too small to matter, whatever the noise hides",
    "open": "open: not settled, and more seeds or test examples might decide it",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The row's score less the column's, in words."""

    text: str
    interval: str
    direction: Literal["better", "worse"]  # of the row
    decision: Decision
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """One metric's differences, a row and a column for each method, best first; None on the diagonal."""

    metric: Metric
    labels: tuple[str, ...]
    rows: tuple[tuple[Difference | None, ...], ...]


def build_matrices(comparison: Comparison) -> tuple[Matrix, ...]:
    """A matrix for each metric by which at least two methods were scored."""
    return tuple(_matrix(comparison, metric) for metric in METRICS if comparison.get_pairs(metric))


def format_pairs_csv(comparison: Comparison) -> str:
    """One line for each pair, in full precision."""
    return format_csv([dict(_line(pair)) for metric in METRICS for pair in comparison.get_pairs(metric)])


def _matrix(comparison: Comparison, metric: Metric) -> Matrix:
    cells = {}
    for pair in comparison.get_pairs(metric):
        cells[pair.better.label, pair.other.label] = _difference(pair, "better")
        cells[pair.other.label, pair.better.label] = _difference(pair, "worse")
    labels = tuple(row.label for row in comparison.rank(metric))
    rows = tuple(tuple(cells.get((row, column)) for column in labels) for row in labels)
    return Matrix(metric=metric, labels=labels, rows=rows)


def _difference(pair: Pair, direction: Literal["better", "worse"]) -> Difference:
    """The pair as one of its two rows sees it; its own difference is positive, whatever the metric's direction."""
    metric, found = pair.metric, pair.difference
    sign = 1 if (direction == "better") == metric.higher_is_better else -1
    low, high = sorted((sign * found.low, sign * found.high))
    return Difference(
        text=_signed(metric, sign * found.mean),
        interval=f"{_signed(metric, low)} to {_signed(metric, high)}",
        direction=direction,
        decision=pair.decision,
        meaning=f"{MEANINGS[pair.decision]}; p = {pair.p:.2g} after Holm's correction",
    )


def _signed(metric: Metric, value: float) -> str:
    said = format_score(metric, value)
    return said if said.startswith(MINUS) else f"+{said}"


def _line(pair: Pair) -> Iterator[tuple[str, Any]]:
    yield from {"metric": pair.metric.name, "better": pair.better.label, "other": pair.other.label}.items()
    yield from {"difference": pair.difference.mean, "low": pair.difference.low, "high": pair.difference.high}.items()
    yield from {"p_holm": pair.p, "decision": pair.decision}.items()
