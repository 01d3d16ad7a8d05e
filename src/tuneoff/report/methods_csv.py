"""Every method as a line of CSV: its scores over all runs, how reliably it trains, and its chances."""

from collections.abc import Iterator
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.analysis.verdict import Verdict, decide_verdict
from tuneoff.report.pairwise import name_decision
from tuneoff.report.sentences.lost import count_lost_runs
from tuneoff.report.tables import format_csv, get_score_name


def format_methods_csv(comparison: Comparison) -> str:
    """Format a line for each method, best first, in full precision. ROUGE is F1 × 100.

    `best_is` is the word for the best method's lead over this one by the primary metric.
    """
    verdict = decide_verdict(comparison, comparison.metric) if comparison.best else None
    return format_csv([dict(_list_cells(comparison, row, verdict)) for row in comparison.rows])


def _list_cells(comparison: Comparison, row: Row, verdict: Verdict | None) -> Iterator[tuple[str, Any]]:
    reliability = comparison.assess(row)
    yield from {"label": row.label, "method": row.method, "runs": reliability.runs}.items()
    low, high = reliability.interval
    yield from {"lost_runs": len(reliability.lost), "lost_low": low, "lost_high": high}.items()
    for metric in comparison.run.recipe.metric_table.values():
        name, score = f"test_{get_score_name(metric)}", row.scores.get(metric.name)
        with_lost = count_lost_runs(comparison, row, metric)
        yield name, score and score.mean
        yield f"{name}_low", score and score.low
        yield f"{name}_high", score and score.high
        yield f"{name}_with_lost_runs", with_lost.mean if with_lost else score and score.mean
    yield "primary_metric", comparison.metric.name
    yield "best_is", _name_lead(comparison, row, verdict)
    chances = verdict.chances.get(row.label) if verdict else None
    yield "chance_best", chances and chances.best
    yield "chance_within_margin", chances and chances.within_margin
    yield "expected_regret", chances and chances.regret


def _name_lead(comparison: Comparison, row: Row, verdict: Verdict | None) -> str | None:
    if verdict is None or not row.scores or row is verdict.best:
        return None
    return name_decision(comparison.find_pair(comparison.metric, verdict.best, row))
