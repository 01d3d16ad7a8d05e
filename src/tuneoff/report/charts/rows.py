"""The rows of data that charts draw: scores and costs with their values, and the text for labels and tooltips."""

from __future__ import annotations

import math
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import Cost
from tuneoff.analysis.row import Row
from tuneoff.metrics import Metric
from tuneoff.records.record import Record
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_cost, format_cost_interval, format_interval, format_score, pluralize

Datum = dict[str, Any]  # Any: numbers and text, by column
WIDEST = 1.5  # times the highest cost, up to which an interval is drawn


def get_memory_kind(comparison: Comparison) -> str:
    """Return which memory was measured: `allocated` on a GPU, `resident` on a CPU."""
    memories = [record.costs.training_memory for record in comparison.run.records if record.costs]
    return "allocated" if any(memory and memory.allocated_bytes is not None for memory in memories) else "resident"


def make_cost_rows(comparison: Comparison, cost: Cost, *, scale: float = 1) -> list[Datum]:
    """Return each method's cost, multiplied by `scale`. Methods without this cost have no row."""
    return [
        {
            "method": escape_control(row.label),
            "value": row.costs[cost.name] * scale,
            "text": format_cost(cost, row.costs[cost.name]),
            "exact": f"{row.costs[cost.name]:,.10g} {cost.unit}".strip(),
            **make_cost_interval(comparison, row, cost, scale),
        }
        for row in comparison.rows
        if cost.name in row.costs
    ]


def make_cost_interval(comparison: Comparison, row: Row, cost: Cost, scale: float) -> Datum:
    """Return the ends of a cost's interval over seeds, and its text; both ends are null without an interval.

    Two runs may leave an interval so wide that nothing else would be seen. It is drawn up to half again the highest
    cost.
    """
    amount = row.amounts.get(cost.name)
    if amount is None or amount.interval is None:
        return {"cost_low": None, "cost_high": None, "cost_interval": "none"}
    most = WIDEST * max(other.costs[cost.name] for other in comparison.rows if cost.name in other.costs)
    low, high = (min(end, most) * scale for end in amount.interval)
    return {"cost_low": low, "cost_high": high, "cost_interval": format_cost_interval(cost, amount)}


def make_score_rows(comparison: Comparison, *metrics: Metric) -> list[Datum]:
    """Return each method's finite scores by each metric."""
    return [
        make_score_row(row, metric) | make_run_columns(comparison, row, metric)
        for row in comparison.rows
        for metric in metrics
        if metric.name in row.scores and math.isfinite(row.scores[metric.name].mean)
    ]


def make_score_row(row: Row, metric: Metric) -> Datum:
    """Return one method's score by one metric, with its interval."""
    estimate = row.scores[metric.name]
    return {
        "method": escape_control(row.label),
        "metric": metric.title,
        "value": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "text": format_score(metric, estimate.mean),
        "exact": f"{estimate.mean:.4f} {metric.unit}",
        "interval": format_interval(metric, estimate),
        "examples": _count_examples(row),
    }


def make_run_columns(comparison: Comparison, row: Row, metric: Metric) -> Datum:
    """Return the score of every run, and the ends of all of them and the interval, with and without lost runs.

    A lost run has the base model's score.
    """
    estimate, base, lost = row.scores[metric.name], comparison.base, comparison.assess(row).lost
    runs = [_score_run(record, metric) for record in row.finished if record not in lost]
    lost_runs = [base.scores[metric.name].mean] * len(lost) if base and base.scores else []
    return {
        "end": max([estimate.high, *runs]),
        "least": min([estimate.low, *runs, *lost_runs]),
        "most": max([estimate.high, *runs, *lost_runs]),
        "runs": runs,
        "lost_runs": lost_runs,
    }


def _score_run(record: Record, metric: Metric) -> float:
    return metric.scale * metric.compute_mean(record.predictions)


def _count_examples(row: Row) -> str:
    predictions = row.finished[0].predictions
    groups = {prediction.group for prediction in predictions}
    return f"{len(predictions):,}" if None in groups else f"{len(predictions):,} in {pluralize(len(groups), 'group')}"
