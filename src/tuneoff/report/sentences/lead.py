"""By how much the best method is better than the base model and, after a win, than the next method."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row
from tuneoff.analysis.verdict import Verdict
from tuneoff.report.format import format_score
from tuneoff.report.sentences.lost import count_lost_runs
from tuneoff.report.sentences.names import (
    Names,
    capitalize_name,
    format_difference,
    format_margin,
    format_with_interval,
)


def describe_lead(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    """Return the leads of the best method and, if it lost runs, its score with them."""
    pairs = [comparison.find_pair(verdict.metric, verdict.best, row) for row in _list_followers(comparison, verdict)]
    leads = [_describe_pair(comparison, pair, names) for pair in pairs]
    with_lost = count_lost_runs(comparison, verdict.best, verdict.metric)
    if with_lost:
        leads.append(f"{format_score(verdict.metric, with_lost.mean)} with lost runs counted as the base model's")
    name = capitalize_name(names.get(verdict.best))
    if not leads:
        return f"{name} scores {format_with_interval(verdict.metric, verdict.best)}."
    return f"{name} is {'; '.join(leads)}."


def describe_next(comparison: Comparison, verdict: Verdict, names: Names) -> Iterator[str]:
    """Yield the lead over the next method, unless `describe_lead` tells it."""
    second = comparison.rank(verdict.metric)[1]
    if second not in _list_followers(comparison, verdict):
        pair = comparison.find_pair(verdict.metric, verdict.best, second)
        yield f"{capitalize_name(names.get(verdict.best))} is {_describe_pair(comparison, pair, names)}."


def _list_followers(comparison: Comparison, verdict: Verdict) -> list[Row]:
    """List the base model, and the next method if that was decided by its difference or there is no base model."""
    ranked = comparison.rank(verdict.metric)
    base = [row for row in ranked[1:] if row.is_base][:1]
    tells_next = verdict.kind == "winner" or not base
    return [*base, *(row for row in ranked[1:2] if tells_next and row not in base)]


def _describe_pair(comparison: Comparison, pair: Pair, names: Names) -> str:
    """Describe a pair by the word of its decision."""
    other, difference = names.get(pair.other), format_difference(pair)
    match pair.decision:
        case "matters":
            return f"better than {other} by {difference}, more than matters"
        case "better":
            return f"better than {other} by {difference}"
        case "equal":
            return f"equal to {other} within {format_margin(comparison, pair.metric)}, ahead by {difference}"
        case _ if not pair.paired.knows_seed_variance:
            return f"ahead of {other} by {difference} in these runs"
        case _:
            return f"ahead of {other} by {difference}, which may be noise"
