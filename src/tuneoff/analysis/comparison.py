"""A comparison of methods, computed from records alone.

Nothing here trains, reads a clock or opens a file, so a comparison can be made again from its records at any time, also
from an unfinished run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tuneoff.analysis.amount import Amount, are_same, estimate_average
from tuneoff.analysis.costs import Cost
from tuneoff.analysis.latency import estimate_base_times
from tuneoff.analysis.pairs import Pair, compare_pairs, find_regrets
from tuneoff.analysis.pareto import find_front
from tuneoff.analysis.partial import Partial, find_missing, is_counted
from tuneoff.analysis.population import require_same_samples
from tuneoff.analysis.reliability import Reliability, assess_reliability
from tuneoff.analysis.row import Row, build_row
from tuneoff.analysis.sequential import (
    Rounds,
    compare_over_looks,
    find_missing_rounds,
    is_judged,
    replay_rounds,
)
from tuneoff.analysis.win_rates import find_outcomes
from tuneoff.budget.spending import Spending
from tuneoff.errors import UnequalSettingsError
from tuneoff.metrics import Metric
from tuneoff.metrics.judge import WIN_RATE
from tuneoff.metrics.stored import add_missing_scores
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runs import Run
from tuneoff.runs.split_use import SplitUse
from tuneoff.search.history import Search, build_searches


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """The trials of one run, ranked by the primary metric, best first; rows without a score come last."""

    run: Run
    setting: Setting
    rows: tuple[Row, ...]
    spending: Spending | None = None  # None: made from records alone
    partial: Partial | None = None  # None: every trial of the recipe has a record
    split_use: SplitUse | None = None  # of the test split, over all runs on this machine; None: made from records alone
    rounds: Rounds | None = None  # with `until_decided`

    def __repr__(self) -> str:
        """The name and the labels only: a notebook stores this next to the leaderboard, and records are long."""
        return f"<Comparison {self.run.recipe.name}: {', '.join(row.label for row in self.rows)}>"

    @property
    def metric(self) -> Metric:
        """The primary metric, by which the recipe ranks."""
        return self.run.recipe.primary_metric

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics of the recipe, the primary one first."""
        table = self.run.recipe.metric_table
        primary = self.metric.name
        return (table[primary], *(metric for name, metric in table.items() if name != primary))

    def rank(self, metric: Metric) -> tuple[Row, ...]:
        """The rows with a score, best by `metric` first.

        Methods that were dropped come last, because their means are over fewer seeds.
        """
        sign = -1 if metric.higher_is_better else 1
        rows = [row for row in self.rows if metric.name in row.scores]
        return tuple(sorted(rows, key=lambda row: (self.is_dropped(row, metric), sign * row.scores[metric.name].mean)))

    def is_dropped(self, row: Row, metric: Metric) -> bool:
        """Whether an earlier look at a comparison that runs until decided showed the row to be worse by `metric`."""
        return metric is self.metric and self.rounds is not None and row.label in self.rounds.dropped

    def get_pairs(self, metric: Metric) -> tuple[Pair, ...]:
        """Every two methods with a score, once, the better one first; best pairs first."""
        return self._pairs[metric.name]

    def find_pair(self, metric: Metric, a: Row, b: Row) -> Pair:
        """The pair of two rows, in either order."""
        labels = {a.label, b.label}
        return next(pair for pair in self.get_pairs(metric) if {pair.better.label, pair.other.label} == labels)

    @cached_property
    def _pairs(self) -> dict[str, tuple[Pair, ...]]:
        return {metric.name: self._compare(metric) for metric in self.metrics}

    def _compare(self, metric: Metric) -> tuple[Pair, ...]:
        recipe, ranked = self.run.recipe, self.rank(metric)
        regrets = find_regrets(recipe, self.searches, metric)
        if self.rounds and self.rounds.looks:
            return compare_over_looks(metric, ranked, self.rounds, recipe, regrets)
        return compare_pairs(metric, ranked, recipe.verdict, regrets)

    def assess(self, row: Row) -> Reliability:
        """How reliably a row's method trained."""
        return assess_reliability(row, self.base, self.run.recipe.verdict.confidence)

    def find_front(self, metric: Metric, cost: Cost) -> frozenset[str]:
        """The labels on the Pareto front of quality and cost, without the rows that cost no training."""
        rows = [row for row in self.rank(metric) if cost.name in row.costs and row.trains]
        return find_front(
            rows, cost, lambda a, b: self.find_pair(metric, a, b), lambda a, b: self.cost_same(cost, a, b)
        )

    def cost_same(self, cost: Cost, a: Row, b: Row) -> bool:
        """Whether two rows that have a cost differ in it by no more than its tolerance, or than noise explains."""
        first, second = (row.amounts[cost.compared_by or cost.name] for row in (a, b))
        return are_same(first, second, tolerance=cost.tolerance, confidence=self.run.recipe.verdict.confidence)

    @cached_property
    def searches(self) -> Mapping[str, Search]:
        """The hyperparameter search of each method, by label; empty without a search."""
        return build_searches(self.run.recipe, self.run.records)

    @property
    def best(self) -> Row | None:
        """The best row by the primary metric."""
        return next(iter(self.rank(self.metric)), None)

    @property
    def base(self) -> Row | None:
        """The base model's row."""
        return next((row for row in self.rows if row.is_base), None)

    def estimate_forgetting(self, row: Row) -> Amount | None:
        """The increase of loss on unrelated text over the base model, in nats per token; None if not measured."""
        base = self.base.compute_mean_score("unrelated/loss") if self.base else None
        losses = row.list_scores("unrelated/loss")
        if base is None or not losses:
            return None
        return estimate_average([loss - base for loss in losses], self.run.recipe.verdict.confidence)


def judge(run: Run, spending: Spending | None = None) -> Comparison:
    """Rank the methods whose confirmed trials have a record in `run`.

    Args:
        spending: the run's cost estimate and its actual cost.

    Raises:
        UnequalSettingsError: two trials differ in base model, data, training, precision or device.
    """
    setting = _require_one_setting(run.records)
    metrics = run.recipe.metric_table
    run = replace(run, records=tuple(add_missing_scores(record, metrics.values()) for record in run.records))
    if run.recipe.judge and WIN_RATE.name in metrics:
        outcomes = find_outcomes(run.recipe.judge, run.records, run.judgements)
        if outcomes.are_finished:
            run = replace(run, records=tuple(map(outcomes.score, run.records)))
    rounds = replay_rounds(run.recipe, run.records) if run.recipe.until_decided else None
    partial = find_missing_rounds(run.recipe, run.records, rounds) if rounds else find_missing(run.recipe, run.records)
    confirmed = [record for record in run.records if record.trial.stage == "confirm"]
    if rounds and rounds.looks:
        confirmed = [record for record in confirmed if is_judged(rounds, run.recipe, record)]
    else:
        confirmed = [record for record in confirmed if is_counted(partial, run.recipe, record)]
    require_same_samples(confirmed)
    labels = dict.fromkeys(record.trial.label for record in confirmed)
    confidence = run.recipe.verdict.confidence
    base_times = estimate_base_times(confirmed, confidence)
    rows = [
        build_row([r for r in confirmed if r.trial.label == label], confidence, base_times, metrics.values())
        for label in labels
    ]
    comparison = Comparison(
        run=run, setting=setting, rows=tuple(rows), spending=spending, partial=partial, rounds=rounds
    )
    without_score = [row for row in rows if comparison.metric.name not in row.scores]
    return replace(comparison, rows=(*comparison.rank(comparison.metric), *without_score))


def _require_one_setting(records: Sequence[Record]) -> Setting:
    settings = {record.trial.setting.model_dump_json(): record.trial.setting for record in records}
    if len(settings) == 1:
        return next(iter(settings.values()))
    if not settings:
        raise UnequalSettingsError("There are no records to compare yet. Run `tuneoff compare RECIPE` first.")
    first, second, *_ = settings.values()
    differing = [name for name in Setting.model_fields if getattr(first, name) != getattr(second, name)]
    raise UnequalSettingsError(
        f"Records of unequal settings are never ranked together; these differ in {', '.join(differing)}. "
        "Keep one run directory for each setting."
    )
