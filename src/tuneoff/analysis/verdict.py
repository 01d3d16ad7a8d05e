"""The verdict by one metric: a winner, a tie, or not enough evidence, and then what would decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tuneoff.analysis.cheapest import find_cheapest
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.needed import Needed, Outlook, estimate_needed, rank_effort
from tuneoff.analysis.pairs import Pair, find_regrets
from tuneoff.analysis.posterior import Chances, compute_chances, draw_posterior
from tuneoff.analysis.row import Row
from tuneoff.metrics import Metric

# "winner": better than every other method beyond noise. "winner where it trains": that, but some of its runs were lost.
# "tie": all leaders are equal within the margin. "open": not enough evidence. "one run": a method was trained once, so
# only these runs were compared.
Kind = Literal["winner", "winner where it trains", "tie", "open", "one run"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome by one metric."""

    metric: Metric
    kind: Kind
    best: Row  # by the mean
    leaders: tuple[Row, ...]  # the best, and all that are not shown to be worse
    cheapest: Row  # of the leaders; see `find_cheapest`
    chances: Mapping[str, Chances]  # by label; empty where a method has one run
    needed: Needed | None  # for the leader that is hardest to separate from the best; None unless open


def decide_verdict(comparison: Comparison, metric: Metric) -> Verdict:
    """Decide the outcome by one metric among all rows with a score.

    Raises:
        ValueError: no row has a score by the metric.
    """
    ranked = comparison.rank(metric)
    if not ranked:
        raise ValueError(f"no method has a score by {metric.name}")
    best, *others = ranked
    pairs = [comparison.find_pair(metric, best, other) for other in others]
    pairs = [pair for pair in pairs if not comparison.is_dropped(pair.other, metric)]  # decided by an earlier look
    leaders = (best, *(pair.other for pair in pairs if not pair.is_beyond_noise))
    undecided = [pair for pair in pairs if pair.decision == "open"]
    chances, needed = _look_ahead(comparison, metric, ranked, undecided)
    return Verdict(
        metric=metric,
        kind=_choose_kind(pairs, is_reliable=not comparison.assess(best).lost),
        best=best,
        leaders=leaders,
        cheapest=find_cheapest(comparison, leaders).row,
        chances=chances,
        needed=needed,
    )


def _choose_kind(pairs: Sequence[Pair], *, is_reliable: bool) -> Kind:
    if any(not pair.paired.knows_seed_variance for pair in pairs):
        return "one run"
    if any(pair.decision == "open" for pair in pairs):
        return "open"
    if any(pair.decision == "equal" for pair in pairs):
        return "tie"
    return "winner" if is_reliable else "winner where it trains"


def _look_ahead(
    comparison: Comparison, metric: Metric, ranked: Sequence[Row], undecided: Sequence[Pair]
) -> tuple[dict[str, Chances], Needed | None]:
    """Return each method's chances, and what would decide the pair that is hardest to decide."""
    options = comparison.run.recipe.verdict
    margin = metric.get_margin(options)
    posterior = draw_posterior([row.matrices[metric.name] for row in ranked])
    if posterior is None:
        return {}, None
    labels = [row.label for row in ranked]
    chances = compute_chances(posterior, higher_is_better=metric.higher_is_better, margin=margin)
    planned = comparison.run.recipe.until_decided
    regrets = find_regrets(comparison.run.recipe, comparison.searches, metric)

    def build_outlook(pair: Pair) -> Outlook:
        columns = (0, labels.index(pair.other.label))
        gains = (regrets.get(pair.better.label, 0.0), regrets.get(pair.other.label, 0.0))
        return Outlook(pair, posterior, columns, margin, options.confidence, planned, gains)

    needed = [estimate_needed(build_outlook(pair)) for pair in undecided]
    return dict(zip(labels, chances, strict=True)), max(needed, key=rank_effort) if needed else None
