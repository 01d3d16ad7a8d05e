"""The outcome by one metric: a winner, a tie or no clear winner, and by how much the best one leads."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.verdict import Verdict
from tuneoff.report.format import format_score, join_list
from tuneoff.report.sentences.costs import describe_cheapest
from tuneoff.report.sentences.evidence import describe_needed, describe_open
from tuneoff.report.sentences.names import capitalize_name, format_difference, format_with_interval, name_row


def describe_outcome(comparison: Comparison, verdict: Verdict, metric_name: str) -> Iterator[str]:
    """Yield the outcome by one metric, the lead over the base model and the next method, and what would settle it."""
    describe = {"winner": _describe_winner, "tie": _describe_tie}.get(verdict.kind, _describe_undecided)
    yield describe(comparison, verdict, metric_name)
    yield from _describe_leads(comparison, verdict)
    if verdict.needed:
        yield describe_needed(verdict.needed)


def _describe_winner(comparison: Comparison, verdict: Verdict, metric_name: str) -> str:
    score = format_with_interval(verdict.metric, verdict.best)
    if verdict.best.is_base:
        return (
            f"No training helped: the base model has the best {metric_name}, {score}, "
            "significantly better than every trained model."
        )
    winner = name_row(verdict.best)
    return f"{winner} wins by {metric_name}: {score}, significantly better than every other method."


def _describe_tie(comparison: Comparison, verdict: Verdict, metric_name: str) -> str:
    names = [name_row(row) for row in verdict.leaders]
    margin = format_score(verdict.metric, verdict.metric.margin(comparison.run.recipe.verdict))
    pairs = [comparison.find_pair(verdict.metric, verdict.best, row) for row in verdict.leaders[1:]]
    widest = max(pairs, key=lambda pair: max(-pair.difference.low, pair.difference.high))
    return (
        f"{capitalize_name(join_list(names))} tie by {metric_name}: they differ by "
        f"{'at most ' if len(pairs) > 1 else ''}{format_difference(widest)}, less than the smallest difference that "
        f"matters, {margin}{describe_cheapest(comparison, verdict.leaders)}."
    )


def _describe_undecided(comparison: Comparison, verdict: Verdict, metric_name: str) -> str:
    others = [name_row(row) for row in verdict.leaders[1:]]
    return (
        f"No clear winner by {metric_name}: {name_row(verdict.best)} is ahead with "
        f"{format_with_interval(verdict.metric, verdict.best)}, but {join_list(others)} "
        f"{'is' if len(others) == 1 else 'are'} not clearly worse."
    )


def _describe_leads(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    best, second = comparison.rank(verdict.metric)[:2]
    labels = dict.fromkeys(row.label for row in (comparison.base, second) if row and row is not best)
    scored = {row.label: row for row in comparison.rank(verdict.metric)}
    leads = [
        _describe_lead(comparison, comparison.find_pair(verdict.metric, best, scored[label]))
        for label in labels
        if label in scored
    ]
    if leads:
        # "It" only where this sentence follows that of the winner directly
        follows_winner = verdict.kind == "winner" and comparison.partial is None
        subject = "It" if follows_winner else capitalize_name(name_row(best))
        yield f"{subject} leads {', and '.join(leads)}."


def _describe_lead(comparison: Comparison, pair: Pair) -> str:
    other = name_row(pair.other)
    follower = other if pair.other.is_base else f"the next method, {other},"
    remarks = {
        "matters": "",
        "better": "",
        "equal": ", too little to matter",
        "open": f", {describe_open(comparison, pair)}",
    }
    return f"{follower} by {format_difference(pair)}{remarks[pair.decision]}"
