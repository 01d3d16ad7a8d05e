"""A row of a comparison: one method over all its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from tuneoff.analysis.amount import Amount, estimate_average, estimate_typical, make_exact
from tuneoff.analysis.costs import COSTS
from tuneoff.analysis.latency import estimate_latency
from tuneoff.analysis.statistics import Estimate, ScoreMatrix, estimate_mean
from tuneoff.methods import METHODS
from tuneoff.metrics import Metric
from tuneoff.records.record import Prediction, Record


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method of a comparison, over all its seeds. Without a finished trial, `scores` is empty."""

    label: str
    method: str
    records: tuple[Record, ...]  # of confirmed trials; those of the search are in `Comparison.searches`
    scores: Mapping[str, Estimate]  # by metric name, on the test split
    amounts: Mapping[str, Amount]  # what the row cost, over seeds, by cost name; a cost that does not apply is absent
    # each example's scores by metric name, read from the records once, which takes longer than all that follows
    matrices: Mapping[str, ScoreMatrix] = field(default_factory=dict, repr=False, compare=False)

    @property
    def costs(self) -> Mapping[str, float]:
        """The amounts without their intervals."""
        return {name: amount.mean for name, amount in self.amounts.items()}

    @property
    def finished(self) -> tuple[Record, ...]:
        """The records of trials that have a score."""
        return tuple(r for r in self.records if r.status == "done")

    @property
    def is_base(self) -> bool:
        """Whether the row is the base model's with the recipe's prompt, the reference of the comparison."""
        return METHODS[self.method].is_base

    @property
    def trains(self) -> bool:
        """Whether the method trains anything: False for the base model, however it is asked."""
        return METHODS[self.method].trains

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed would give other scores."""
        return METHODS[self.method].depends_on_seed

    def list_scores(self, name: str) -> list[float]:
        """A score in the records of each seed, such as "train/loss"; empty if any of them lacks it."""
        scores = [record.scores.get(name) for record in self.finished]
        known = [score for score in scores if score is not None]
        return known if len(known) == len(scores) else []

    @property
    def has_one_finished_run(self) -> bool:
        """Whether one run alone was made or kept its score, so that how far another would move is not known."""
        return self.depends_on_seed and len(self.finished) == 1

    def compute_mean_score(self, name: str) -> float | None:
        """The mean over seeds of a score in the records; None if any of them lacks it."""
        scores = self.list_scores(name)
        return fmean(scores) if scores else None

    def estimate_overfitting(self, confidence: float) -> Amount | None:
        """Loss on training examples minus loss on validation, in nats: far below zero, examples were memorized."""
        losses = zip(self.list_scores("train/loss"), self.list_scores("validation/loss"), strict=False)
        differences = [train - validation for train, validation in losses]
        return estimate_average(differences, confidence) if differences else None


def build_row(
    records: Sequence[Record], confidence: float, base_times: Mapping[str, Amount], metrics: Iterable[Metric]
) -> Row:
    """Build the row of one label from the records of its confirmed trials, of which there is at least one.

    Args:
        base_times: the base network's latency, over the trials of all rows.
    """
    finished = [r for r in records if r.status == "done"]
    costed = finished or records  # a trial that diverged early would look cheap
    metrics = tuple(metrics)
    matrices = build_score_matrices(finished, metrics) if finished else {}
    return Row(
        label=records[0].trial.label,
        method=records[0].trial.method,
        records=tuple(records),
        scores={name: estimate_mean(matrix, confidence) for name, matrix in matrices.items()},
        amounts=_estimate_costs(costed, confidence) | estimate_latency(costed, base_times, confidence),
        matrices=matrices,
    )


def _estimate_costs(records: Sequence[Record], confidence: float) -> dict[str, Amount]:
    amounts = {}
    for cost in COSTS.values():
        values = [value for r in records if r.costs and (value := cost.value(r.costs)) is not None]
        if values:
            amounts[cost.name] = make_exact(fmean(values)) if cost.counted else estimate_typical(values, confidence)
    return amounts


def build_score_matrix(records: Sequence[Record], metric: Metric) -> ScoreMatrix:
    """The test scores of one method's trials, seed by example; see `build_score_matrices`."""
    return build_score_matrices(records, [metric])[metric.name]


def build_score_matrices(records: Sequence[Record], metrics: Sequence[Metric]) -> dict[str, ScoreMatrix]:
    """The test scores of one method's trials by each metric, seed by example, or by group if the examples have groups.
    A metric that a judge has not scored yet is left out.

    Examples of a group were not drawn independently, so the group is the unit of sampling. Its sums stand for it, which
    leaves the mean over examples as it is.

    Source: Cochran 1977, "Sampling Techniques", section 9A.5, on clusters of unequal sizes.
    """
    predictions = [_sort_by_row(record.predictions) for record in records]

    def build(metric: Metric) -> ScoreMatrix:
        scored = [list(filter(metric.has_score, of_seed)) for of_seed in predictions]
        values_SE = np.array([list(map(metric.value, of_seed)) for of_seed in scored], dtype=float)
        weights_E = np.array(list(map(metric.weight, scored[0])), dtype=float)
        groups = [prediction.group for prediction in scored[0] if prediction.group is not None]
        if groups:
            places_E = np.unique(np.array(groups), return_inverse=True)[1]
            values_SE = np.array([np.bincount(places_E, weights=values_E) for values_E in values_SE])
            weights_E = np.bincount(places_E, weights=weights_E)
        return ScoreMatrix(
            values_SE * metric.scale,
            weights_E,
            seed_ids=tuple(record.trial.seed for record in records),
            trained=METHODS[records[0].trial.method].depends_on_seed,
            step=metric.scale if metric.is_all_or_nothing else 0.0,
            bounds=(metric.scale * metric.bounds[0], metric.scale * metric.bounds[1]),
        )

    known = [metric for metric in metrics if any(map(metric.has_score, predictions[0]))]
    return {metric.name: build(metric) for metric in known}


def _sort_by_row(predictions: Sequence[Prediction]) -> Sequence[Prediction]:
    rows = [prediction.row for prediction in predictions]
    return predictions if rows == sorted(rows) else sorted(predictions, key=lambda p: p.row)
