"""The difference between every two methods by one metric, and whether it is decided."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Pair
from tuneoff.metrics import Metric
from tuneoff.report.format import format_signed
from tuneoff.report.main_metrics import list_main_metrics
from tuneoff.report.tables import format_csv

MEANINGS = {  # of a decision, for the one of the two that is ahead
    "matters": "better by more than matters",
    "better": "better, but perhaps by less than matters",
    "equal": "equal: any difference is too small to matter",
    "open": "open: more seeds or test examples may decide it",
    "one run": "one run: how far another run would move is not known",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The row's score minus the column's, as text."""

    text: str
    interval: str
    direction: Literal["ahead", "behind"]  # the row
    decision: str  # a key of `MEANINGS`
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The differences by one metric, with a row and a column for each method, best first; None on the diagonal."""

    metric: Metric
    labels: tuple[str, ...]
    rows: tuple[tuple[Difference | None, ...], ...]


def build_matrices(comparison: Comparison) -> tuple[Matrix, ...]:
    """Build a matrix for each metric by which at least two methods have a score."""
    return tuple(
        _build_matrix(comparison, metric) for metric in list_main_metrics(comparison) if comparison.get_pairs(metric)
    )


def format_pairs_csv(comparison: Comparison) -> str:
    """Format all pairs as CSV, one line for each, in full precision."""
    return format_csv(
        [dict(_list_cells(pair)) for metric in list_main_metrics(comparison) for pair in comparison.get_pairs(metric)]
    )


def _build_matrix(comparison: Comparison, metric: Metric) -> Matrix:
    cells = {}
    for pair in comparison.get_pairs(metric):
        cells[pair.better.label, pair.other.label] = _build_difference(pair, "ahead")
        cells[pair.other.label, pair.better.label] = _build_difference(pair, "behind")
    labels = tuple(row.label for row in comparison.rank(metric))
    rows = tuple(tuple(cells.get((row, column)) for column in labels) for row in labels)
    return Matrix(metric=metric, labels=labels, rows=rows)


def _build_difference(pair: Pair, direction: Literal["ahead", "behind"]) -> Difference:
    """Build the cell of one of the two rows. A pair's own difference is positive for the better row, whatever the
    direction of the metric; here the sign is that of the scores."""
    metric, difference = pair.metric, pair.difference
    sign = 1 if (direction == "ahead") == metric.higher_is_better else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    return Difference(
        text=format_signed(sign * difference.mean, metric.decimals),
        interval=f"{format_signed(low, metric.decimals)} to {format_signed(high, metric.decimals)}",
        direction=direction,
        decision=name_decision(pair),
        meaning=_describe_meaning(pair, direction),
    )


def _list_cells(pair: Pair) -> Iterator[tuple[str, Any]]:
    yield from {"metric": pair.metric.name, "better": pair.better.label, "other": pair.other.label}.items()
    yield from {"difference": pair.difference.mean, "low": pair.difference.low, "high": pair.difference.high}.items()
    yield from {"p": _get_p(pair), "decision": name_decision(pair)}.items()


def name_decision(pair: Pair) -> str:
    """Return the word for a pair: its decision, or `one run` if the variation between runs is unknown."""
    return pair.decision if pair.paired.knows_seed_variance else "one run"


def _describe_meaning(pair: Pair, direction: Literal["ahead", "behind"]) -> str:
    meaning, p = MEANINGS[name_decision(pair)], _get_p(pair)
    if direction == "behind":
        meaning = meaning.replace("better", "worse", 1)
    return meaning if p is None else f"{meaning}; p = {p:.2g}, adjusted for all pairs"


def _get_p(pair: Pair) -> float | None:
    """Return the p-value; None if a method was trained once, because it would ignore the variation between runs."""
    return pair.p if pair.paired.knows_seed_variance else None
