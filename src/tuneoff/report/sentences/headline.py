"""The first sentence of a verdict: a winner, a tie, or what is not known, with what would make it misleading alone."""

from collections.abc import Iterable, Iterator, Sequence

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.disagreement import find_disagreements
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row
from tuneoff.analysis.verdict import Verdict
from tuneoff.metrics import Metric
from tuneoff.report.format import format_score, join_list
from tuneoff.report.sentences.costs import describe_cheapest
from tuneoff.report.sentences.lost import describe_lost
from tuneoff.report.sentences.names import Names, capitalize_name, format_margin, name_metric


def describe_headline(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    """Return the outcome by the verdict's metric, in one sentence.

    It also has the lost runs of the methods that it is about and, by the primary metric, where another one disagrees.
    """
    describe = {
        "winner": _describe_winner,
        "winner where it trains": _describe_unreliable_winner,
        "tie": _describe_tie,
        "open": _describe_undecided,
        "one run": _describe_single_runs,
    }[verdict.kind]
    remarks = [*_list_lost(comparison, verdict, names)]
    if verdict.metric is comparison.metric:
        remarks += [
            *_list_disagreements(find_disagreements(comparison), names),
            *_list_without_score(comparison, names),
        ]
    return f"{'; '.join([describe(comparison, verdict, names), *remarks])}."


def _describe_winner(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    metric = name_metric(verdict.metric)
    if not verdict.best.trains and any(row.trains for row in comparison.rank(verdict.metric)):
        return f"No training helped: {names.get(verdict.best)} is the best by {metric}, better than every trained model"
    pairs = _list_pairs_with_best(comparison, verdict)
    by_more = " by more than matters" if all(pair.decision == "matters" for pair in pairs) else ""
    return f"{names.get(verdict.best)} wins by {metric}: better than every other method{by_more}"


def _describe_unreliable_winner(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    name, lost = names.get(verdict.best), describe_lost(comparison.assess(verdict.best))
    return f"{name} is best where it trains, by {name_metric(verdict.metric)}, but {lost}"


def _describe_tie(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    margin = format_margin(comparison, verdict.metric)
    return (
        f"{capitalize_name(names.join(verdict.leaders))} tie by {name_metric(verdict.metric)}: equal within {margin}"
        f"{describe_cheapest(comparison, verdict.leaders, names)}"
    )


def _describe_undecided(_: Comparison, verdict: Verdict, names: Names) -> str:
    metric = verdict.metric
    scores = [format_score(metric, row.scores[metric.name].mean) for row in verdict.leaders]
    count = scores.count(scores[0])
    first, others = verdict.leaders[:count], verdict.leaders[count:]
    if count == 1:
        lead = f"{names.get(verdict.best)} leads, but"
    else:
        lead = f"{names.join(first)} have the same score{', and' if others else ''}"
    worse = f" {names.join(others)} {'is' if len(others) == 1 else 'are'} not shown to be worse" if others else ""
    return f"No clear winner by {name_metric(metric)}: {lead}{worse}"


def _describe_single_runs(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    best, second = comparison.rank(verdict.metric)[:2]
    unknown = "how far another run would move is not known"
    if not (best.has_one_finished_run or second.has_one_finished_run):
        single = [row for row in comparison.rank(verdict.metric) if row.has_one_finished_run]
        has = "has" if len(single) == 1 else "have"
        leader, metric = capitalize_name(names.get(best)), name_metric(verdict.metric)
        return f"{leader} leads by {metric}; {names.join(single)} {has} one finished run, and {unknown}"
    scores = [format_score(verdict.metric, row.scores[verdict.metric.name].mean) for row in (best, second)]
    runs = [_name_runs(row, names) for row in (best, second)]
    metric = name_metric(verdict.metric)
    if scores[0] == scores[1]:
        outcome = f"{runs[0]} and {runs[1]} have the same {metric} ({scores[0]})"
    else:
        outcome = f"{runs[0]} beat {runs[1]} ({metric} {scores[0]} against {scores[1]})"
    return f"T{outcome[1:]}; {unknown}"  # it begins with "this" or "the"


def _name_runs(row: Row, names: Names) -> str:
    if not row.depends_on_seed:
        return names.get(row)
    return f"this {names.get(row)} run" if row.has_one_finished_run else f"the {names.get(row)} runs"


def _list_pairs_with_best(comparison: Comparison, verdict: Verdict) -> list[Pair]:
    return [pair for pair in comparison.get_pairs(verdict.metric) if pair.better is verdict.best]


def _list_lost(comparison: Comparison, verdict: Verdict, names: Names) -> Iterator[str]:
    """Yield which of the other methods that the sentence is about lost runs."""
    is_said = verdict.kind == "winner where it trains"
    rows: Sequence[Row] = verdict.leaders[1:] if is_said else verdict.leaders
    if verdict.kind == "one run":
        rows = comparison.rank(verdict.metric)[:2]
    lost = [row for row in rows if comparison.assess(row).lost]
    if len(lost) > 1:
        yield f"{names.join(lost)} lost runs"
    elif lost:
        yield f"{names.get(lost[0])} {describe_lost(comparison.assess(lost[0]))}"


def _list_without_score(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield which methods have no score, so that nothing is said about them; the details say what is unfinished."""
    without = [row for row in comparison.rows if comparison.metric.name not in row.scores]
    if without and not comparison.partial:
        yield f"{names.join(without)} {'has' if len(without) == 1 else 'have'} no score"


def _list_disagreements(pairs: Iterable[Pair], names: Names) -> Iterator[str]:
    metrics_by_name: dict[str, list[Metric]] = {}
    for pair in pairs:
        metrics_by_name.setdefault(names.get(pair.better), []).append(pair.metric)
    for name, metrics in metrics_by_name.items():
        listed = join_list([name_metric(metric).removeprefix("test ") for metric in metrics])
        yield f"by {listed}, {name} is better"
