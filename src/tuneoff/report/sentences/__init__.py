"""The verdict of a comparison in sentences, the most important one first."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.records.metrics import LOSS, ROUGE_L
from tuneoff.report.format import join_list, pluralize
from tuneoff.report.sentences.costs import describe_costs
from tuneoff.report.sentences.evidence import describe_evidence
from tuneoff.report.sentences.names import capitalize_name, format_with_interval, name_row
from tuneoff.report.sentences.outcome import describe_outcome
from tuneoff.report.sentences.partial import describe_budget_cuts, describe_missing


def describe_verdict(comparison: Comparison) -> tuple[str, ...]:
    """Return who won by each metric, by how much, whether the difference is significant, and what the best cost.

    For an unfinished comparison the first sentence is marked as partial, and the next ones say what is missing.
    """
    first, *further = _describe_results(comparison)
    cuts = describe_budget_cuts(comparison)
    if comparison.partial is None:
        return (first, *further, *cuts)
    scope = " for the methods tried so far" if comparison.partial.untried else ""
    return (f"Partial result{scope}: {first}", *describe_missing(comparison, comparison.partial), *further, *cuts)


def _describe_results(comparison: Comparison) -> tuple[str, ...]:
    ranked = comparison.rank(ROUGE_L)
    if not ranked:
        return (_describe_no_score(comparison),)
    if len(ranked) == 1:
        name, score = capitalize_name(name_row(ranked[0])), format_with_interval(ROUGE_L, ranked[0])
        return (f"{name} is the only method with a score so far: test ROUGE-L {score}.",)
    return (
        *describe_outcome(comparison, decide_verdict(comparison, ROUGE_L), "test ROUGE-L"),
        *describe_outcome(comparison, decide_verdict(comparison, LOSS), "evaluation loss"),
        *describe_costs(comparison),
        *describe_evidence(comparison),
    )


def _describe_no_score(comparison: Comparison) -> str:
    statuses = [record.status for row in comparison.rows for record in row.records]
    ended = [pluralize(n, f"{status} trial") for status in ("failed", "diverged") if (n := statuses.count(status))]
    return f"No trial produced a score: {join_list(ended)}." if ended else "No trial has a score yet."


__all__ = ["describe_verdict"]
