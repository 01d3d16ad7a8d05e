"""The verdict: a pure function from records to a comparison.

Nothing here trains, reads a clock or opens a file, so that a comparison can be made again from its records at any
time, also from half a run.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Literal

import numpy as np

from tuneoff.analysis.metrics import COSTS, METRICS, Cost, Metric
from tuneoff.analysis.partial import Partial, find_missing, is_counted
from tuneoff.analysis.statistics import Estimate, PairedDifference, ScoreMatrix, compute_p_values, estimate
from tuneoff.budget.spending import Spending
from tuneoff.config.verdict import VerdictOptions
from tuneoff.errors import UnequalSettingsError
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runs import Run
from tuneoff.search.history import Search, build_searches


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method of the comparison, over all its seeds. Without a finished trial, scores are empty."""

    label: str
    method: str
    records: tuple[Record, ...]  # of its confirmed trials; those of its search are in `Comparison.searches`
    scores: Mapping[str, Estimate]  # by metric name, on the test split
    costs: Mapping[str, float]  # by cost name, mean over seeds; a cost that does not apply is absent

    @property
    def finished(self) -> tuple[Record, ...]:
        """The trials that came to a score."""
        return tuple(r for r in self.records if r.status == "done")

    def mean_score(self, name: str) -> float | None:
        """The mean over seeds of a score of the records, such as "train/loss"; None where one lacks it."""
        values = [record.scores.get(name) for record in self.finished]
        there = [value for value in values if value is not None]
        return fmean(there) if there and len(there) == len(values) else None

    @property
    def overfitting(self) -> float | None:
        """The loss on examples that were trained on less that on validation, in nats: far below zero is by heart."""
        train, validation = self.mean_score("train/loss"), self.mean_score("validation/loss")
        return None if train is None or validation is None else train - validation


Decision = Literal["different", "equal", "open"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods by one metric, paired over test examples, with the luck of seeds as a second source of noise."""

    metric: Metric
    better: Row
    other: Row
    difference: Estimate  # positive: `better` is better, whatever the metric's direction
    p: float  # of no difference, after Holm's correction over all pairs by the metric
    decision: Decision
    apart: PairedDifference = field(repr=False)  # what further seeds or examples would change


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The trials of one run, ranked by test ROUGE-L, best first; rows without a score come last."""

    run: Run
    setting: Setting
    rows: tuple[Row, ...]
    spending: Spending | None = None  # None: made from records alone
    partial: Partial | None = None  # None: all that the recipe asks for is there

    def ranked(self, metric: Metric) -> tuple[Row, ...]:
        """The rows with a score, best by `metric` first."""
        scored = [row for row in self.rows if metric.name in row.scores]
        return tuple(sorted(scored, key=lambda row: row.scores[metric.name].mean, reverse=metric.higher_is_better))

    def pairs(self, metric: Metric) -> tuple[Pair, ...]:
        """Every two methods with a score, once, the better one first; best pairs first."""
        return self._pairs[metric.name]

    def pair(self, metric: Metric, a: Row, b: Row) -> Pair:
        """The two of them."""
        return next(pair for pair in self.pairs(metric) if {pair.better.label, pair.other.label} == {a.label, b.label})

    @cached_property
    def _pairs(self) -> dict[str, tuple[Pair, ...]]:
        return {metric.name: _compare_pairs(metric, self.ranked(metric), self.run.recipe.verdict) for metric in METRICS}

    def front(self, metric: Metric, cost: Cost) -> frozenset[str]:
        """The labels that nothing beats in quality and cost together; the untouched model, which costs nothing to
        train, is left out."""
        there = [row for row in self.ranked(metric) if cost.name in row.costs and row is not self.base]
        return frozenset(row.label for row in there if not any(self._beats(o, row, metric, cost) for o in there))

    def _beats(self, one: Row, other: Row, metric: Metric, cost: Cost) -> bool:
        """Better beyond noise and not dearer, or shown to be equal and cheaper."""
        if one is other:
            return False
        pair, dearer = self.pair(metric, one, other), _sort_key_of_cost(one, cost) - _sort_key_of_cost(other, cost)
        if pair.decision == "different":
            return pair.better is one and dearer <= 0
        return pair.decision == "equal" and dearer < 0

    @cached_property
    def searches(self) -> Mapping[str, Search]:
        """What was tried for each method, by label; empty without a search."""
        return build_searches(self.run.recipe, self.run.records)

    @property
    def best(self) -> Row | None:
        """The best row by test ROUGE-L."""
        return next(iter(self.ranked(METRICS[0])), None)

    @property
    def base(self) -> Row | None:
        """The untouched model's row: the one that trained nothing."""
        return next((row for row in self.rows if row.costs.get("trainable") == 0), None)

    def forgetting(self, row: Row) -> float | None:
        """Nats per token that unrelated text became harder by; None where it was not measured."""
        tuned = row.mean_score("unrelated/loss")
        untouched = self.base.mean_score("unrelated/loss") if self.base else None
        return None if tuned is None or untouched is None else tuned - untouched


def judge(run: Run, spending: Spending | None = None) -> Comparison:
    """Rank the methods whose confirmed trials have a record in `run`.

    Args:
        spending: what the run was predicted to cost, and has cost.

    Raises:
        UnequalSettingsError: two trials differ in base model, data, training, precision or device.
    """
    setting = _require_one_setting(run.records)
    partial = find_missing(run.recipe, run.records)
    confirmed = [r for r in run.records if r.trial.stage == "confirm" and is_counted(partial, run.recipe, r)]
    labels = dict.fromkeys(record.trial.label for record in confirmed)
    confidence = run.recipe.verdict.confidence
    rows = [_build_row(label, [r for r in confirmed if r.trial.label == label], confidence) for label in labels]
    first = METRICS[0]
    rows.sort(key=lambda row: row.scores[first.name].mean if row.scores else float("-inf"), reverse=True)
    return Comparison(run=run, setting=setting, rows=tuple(rows), spending=spending, partial=partial)


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


def _build_row(label: str, records: list[Record], confidence: float) -> Row:
    finished = [r for r in records if r.status == "done"]
    paid = finished or records  # a training that diverged at once would make its method look cheap
    spent = {cost.name: [v for r in paid if r.costs and (v := cost.of(r.costs)) is not None] for cost in COSTS}
    return Row(
        label=label,
        method=records[0].trial.method,
        records=tuple(records),
        scores={m.name: estimate(collect_scores(finished, m), confidence) for m in METRICS} if finished else {},
        costs={name: fmean(values) for name, values in spent.items() if values},
    )


def collect_scores(records: Sequence[Record], metric: Metric) -> ScoreMatrix:
    """The test answers of one method's trainings as an array, seed by example."""
    answers = [sorted(record.predictions, key=lambda p: p.row) for record in records]
    return ScoreMatrix(
        np.array([[metric.numerator(p) for p in of_seed] for of_seed in answers]),
        np.array([metric.denominator(p) for p in answers[0]], dtype=float),
        stream=zlib.crc32(records[0].trial.label.encode()),
    )


def _compare_pairs(metric: Metric, rows: Sequence[Row], options: VerdictOptions) -> tuple[Pair, ...]:
    """All pairs at once, since Holm's correction and the random swappings are shared."""
    both = list(itertools.combinations(rows, 2))
    if not both:
        return ()
    by_label = {row.label: collect_scores(row.finished, metric) for row in rows}
    apart = [PairedDifference(by_label[a.label], by_label[b.label]) for a, b in both]
    found = zip(both, apart, compute_p_values(apart), strict=True)
    return tuple(_compare_pair(metric, better, other, one, p, options) for (better, other), one, p in found)


def _compare_pair(
    metric: Metric, better: Row, other: Row, apart: PairedDifference, p: float, options: VerdictOptions
) -> Pair:
    difference = apart.difference(options.confidence)
    if not metric.higher_is_better:
        difference = replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)
    return Pair(
        metric=metric,
        better=better,
        other=other,
        difference=difference,
        p=p,
        decision=decide(difference, p, get_margin(metric, options), options.confidence)
        if has_known_seed_variance(better, other)
        else "open",
        apart=apart,
    )


def has_known_seed_variance(better: Row, other: Row) -> bool:
    """Not where one training stands against several: how far another of its kind would be is not known, though the
    interval looks as if it were. Where all are single, what is said is said of these trainings alone."""
    seeds = {len(row.finished) for row in (better, other) if row.costs.get("trainable") != 0}
    return 1 not in seeds or len(seeds) == 1


def get_margin(metric: Metric, options: VerdictOptions) -> float:
    """The difference by that metric below which nothing matters in practice."""
    return options.margin_loss if metric.name == "loss" else options.margin_rouge


def decide(difference: Estimate, p: float, margin: float, confidence: float) -> Decision:
    """Different: beyond noise by interval and by p-value, and large enough to matter. Equal: whatever the noise
    hides is too small to matter. Open: neither is shown."""
    if difference.low > 0 and p < 1 - confidence and difference.mean >= margin:
        return "different"
    return "equal" if -margin <= difference.low and difference.high <= margin else "open"


def _sort_key_of_cost(row: Row, cost: Cost) -> float:
    return -row.costs[cost.name] if cost.higher_is_better else row.costs[cost.name]
