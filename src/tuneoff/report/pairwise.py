"""The difference between every two methods by one metric, and whether it is decided."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Decision, Pair
from tuneoff.records.metrics import LOSS, ROUGE_L, Metric
from tuneoff.report.format import format_signed
from tuneoff.report.tables import format_csv

METRICS = (ROUGE_L, LOSS)
MEANINGS = {
    "matters": "better by more than matters",
    "better": "better beyond noise; whether it matters is not settled",
    "equal": "equal: any difference is too small to matter",
    "open": "undecided: more seeds or test examples may decide it",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The row's score minus the column's, as text."""

    text: str
    interval: str
    direction: Literal["better", "worse"]  # of the row
    decision: Decision
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The differences by one metric, with a row and a column for each method, best first; None on the diagonal."""

    metric: Metric
    labels: tuple[str, ...]
    rows: tuple[tuple[Difference | None, ...], ...]


def build_matrices(comparison: Comparison) -> tuple[Matrix, ...]:
    """Build a matrix for each metric by which at least two methods have a score."""
    return tuple(_build_matrix(comparison, metric) for metric in METRICS if comparison.get_pairs(metric))


def format_pairs_csv(comparison: Comparison) -> str:
    """Format all pairs as CSV, one line for each, in full precision."""
    return format_csv([dict(_list_cells(pair)) for metric in METRICS for pair in comparison.get_pairs(metric)])


def _build_matrix(comparison: Comparison, metric: Metric) -> Matrix:
    cells = {}
    for pair in comparison.get_pairs(metric):
        cells[pair.better.label, pair.other.label] = _build_difference(pair, "better")
        cells[pair.other.label, pair.better.label] = _build_difference(pair, "worse")
    labels = tuple(row.label for row in comparison.rank(metric))
    rows = tuple(tuple(cells.get((row, column)) for column in labels) for row in labels)
    return Matrix(metric=metric, labels=labels, rows=rows)


def _build_difference(pair: Pair, direction: Literal["better", "worse"]) -> Difference:
    """Build the cell of one of the two rows. A pair's own difference is positive for the better row, whatever the
    direction of the metric; here the sign is that of the scores."""
    metric, difference = pair.metric, pair.difference
    sign = 1 if (direction == "better") == metric.higher_is_better else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    return Difference(
        text=format_signed(sign * difference.mean, metric.decimals),
        interval=f"{format_signed(low, metric.decimals)} to {format_signed(high, metric.decimals)}",
        direction=direction,
        decision=pair.decision,
        meaning=f"{MEANINGS[pair.decision]}; p = {pair.p:.2g} with Holm's correction",
    )


def _list_cells(pair: Pair) -> Iterator[tuple[str, Any]]:
    yield from {"metric": pair.metric.name, "better": pair.better.label, "other": pair.other.label}.items()
    yield from {"difference": pair.difference.mean, "low": pair.difference.low, "high": pair.difference.high}.items()
    yield from {"p_holm": pair.p, "decision": pair.decision}.items()
