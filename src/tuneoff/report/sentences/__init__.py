"""The verdict of a comparison in words: one sentence, three points under it, and details."""

from collections.abc import Iterator
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.disagreement import find_disagreements
from tuneoff.analysis.row import Row
from tuneoff.analysis.verdict import Verdict, decide_verdict
from tuneoff.report.format import join_list, pluralize
from tuneoff.report.main_metrics import list_main_metrics
from tuneoff.report.sentences.chances import Chance, describe_chances, describe_condition, list_chances
from tuneoff.report.sentences.costs import describe_costs, describe_fastest
from tuneoff.report.sentences.evidence import describe_evidence
from tuneoff.report.sentences.headline import describe_headline
from tuneoff.report.sentences.lead import describe_lead, describe_next
from tuneoff.report.sentences.names import (
    NAME_WIDTHS,
    Names,
    capitalize_name,
    format_with_interval,
    make_names,
    name_metric,
)
from tuneoff.report.sentences.partial import (
    describe_budget_cuts,
    describe_misfits,
    describe_missing,
    describe_people,
)
from tuneoff.report.sentences.sequential import describe_looks
from tuneoff.report.sentences.unsettled import describe_unsettled

HEADLINE_LENGTH = 180  # characters of two lines on a page


@dataclass(frozen=True, kw_only=True)
class VerdictText:
    """The verdict in words.

    Args:
        points: what is best and by how much; what it costs; what is not settled and what would settle it.
        details: the outcome by other metrics, what the intervals cover, and what is missing.
        chances: of each method, as values for a table.
        extras: sentences of the details that a terminal prints where it has space, the most important one first.
    """

    headline: str
    points: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    chances: tuple[Chance, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def by_importance(self) -> tuple[str, ...]:
        """The points, the one that a short text needs most first."""
        return tuple(self.points[i] for i in (2, 0, 1)) if self.points else ()


def describe_verdict(comparison: Comparison, name_width: int | None = None) -> VerdictText:
    """Describe the verdict by the primary metric, and what the others say.

    For an unfinished comparison the headline is marked as partial.

    Args:
        name_width: the characters after which a label is shortened; by default, those with which the headline fits
            into two lines of a page.
    """
    text = _describe_results(comparison, name_width)
    cuts = (*describe_looks(comparison), *describe_misfits(comparison), *describe_budget_cuts(comparison))
    cuts = (*cuts, *describe_people(comparison))
    missing = tuple(describe_missing(comparison, comparison.partial)) if comparison.partial else ()
    return VerdictText(
        headline=_mark_partial(comparison, text.headline),
        points=text.points,
        details=(*missing, *text.details, *cuts),
        chances=text.chances,
        extras=(*(missing if not text.points else ()), *cuts, *text.extras),
    )


def _describe_results(comparison: Comparison, name_width: int | None) -> VerdictText:
    metric = comparison.metric
    ranked = comparison.rank(metric)
    if not ranked:
        return VerdictText(headline=_describe_no_score(comparison))
    if len(ranked) == 1:
        return VerdictText(headline=_describe_only_score(comparison, ranked[0]))
    verdict = decide_verdict(comparison, metric)
    names = make_names(comparison, name_width) if name_width else _choose_names(comparison, verdict)
    chances = describe_chances(verdict, names)
    following = tuple(describe_next(comparison, verdict, names))
    return VerdictText(
        headline=describe_headline(comparison, verdict, names),
        points=(
            describe_lead(comparison, verdict, names),
            describe_costs(verdict, names),
            describe_unsettled(comparison, verdict, names),
        ),
        details=(
            *following,
            *_describe_other_metrics(comparison, names),
            *describe_fastest(comparison, names),
            *describe_condition(comparison, verdict),
            describe_evidence(comparison),
        ),
        chances=tuple(list_chances(verdict)),
        extras=(*following, *([chances] if chances else ())),
    )


def _choose_names(comparison: Comparison, verdict: Verdict) -> Names:
    """Shorten labels as far as the headline needs it."""
    for width in NAME_WIDTHS:
        names = make_names(comparison, width)
        if len(_mark_partial(comparison, describe_headline(comparison, verdict, names))) <= HEADLINE_LENGTH:
            break
    return names


def _describe_other_metrics(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield the outcome by the second main metric, and by those that disagree with the primary one."""
    metrics = comparison.run.recipe.metric_table
    main = [metric.name for metric in list_main_metrics(comparison)]
    disagreeing = [pair.metric.name for pair in find_disagreements(comparison)]
    for name in list(dict.fromkeys([*main, *disagreeing]))[1:]:
        verdict = decide_verdict(comparison, metrics[name])
        yield describe_headline(comparison, verdict, names)
        yield describe_lead(comparison, verdict, names)


def _mark_partial(comparison: Comparison, headline: str) -> str:
    if comparison.partial is None:
        return headline
    scope = " for the methods scored so far" if comparison.partial.untried else ""
    return f"Partial result{scope}: {headline}"


def _describe_no_score(comparison: Comparison) -> str:
    lost = _count_lost_trials(comparison)
    return f"No trial produced a score: {lost}." if lost else "No trial has a score yet."


def _describe_only_score(comparison: Comparison, row: Row) -> str:
    name, lost = capitalize_name(make_names(comparison).get(row)), _count_lost_trials(comparison)
    so_far = " so far" if comparison.partial else ""
    score = f"{name_metric(comparison.metric)} {format_with_interval(comparison.metric, row)}"
    return f"{name} is the only method with a score{so_far}: {score}{f'; {lost} produced none' if lost else ''}."


def _count_lost_trials(comparison: Comparison) -> str:
    """Count the trials without a score, such as `1 failed trial and 2 diverged trials`; empty without any."""
    statuses = [record.status for row in comparison.rows for record in row.records]
    lost = [pluralize(n, f"{status} trial") for status in ("failed", "diverged") if (n := statuses.count(status))]
    return join_list(lost) if lost else ""


__all__ = ["HEADLINE_LENGTH", "VerdictText", "describe_verdict"]
