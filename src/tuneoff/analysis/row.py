"""A row of a comparison: one method over all its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from tuneoff.analysis.costs import COSTS
from tuneoff.analysis.statistics import Estimate, ScoreMatrix, estimate_mean
from tuneoff.methods import METHODS
from tuneoff.records.metrics import METRICS, Metric
from tuneoff.records.record import Record


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method of a comparison, over all its seeds. Without a finished trial, `scores` is empty."""

    label: str
    method: str
    records: tuple[Record, ...]  # of confirmed trials; those of the search are in `Comparison.searches`
    scores: Mapping[str, Estimate]  # by metric name, on the test split
    costs: Mapping[str, float]  # by cost name, mean over seeds; a cost that does not apply is absent

    @property
    def finished(self) -> tuple[Record, ...]:
        """The records of trials that have a score."""
        return tuple(r for r in self.records if r.status == "done")

    @property
    def is_base(self) -> bool:
        """Whether the row is the base model's, the only method that trains nothing."""
        return not METHODS[self.method].trains

    def compute_mean_score(self, name: str) -> float | None:
        """The mean over seeds of a score in the records, such as "train/loss"; None if any of them lacks it."""
        scores = [record.scores.get(name) for record in self.finished]
        known = [score for score in scores if score is not None]
        return fmean(known) if known and len(known) == len(scores) else None

    @property
    def overfitting(self) -> float | None:
        """Loss on training examples minus loss on validation, in nats: far below zero, examples were memorized."""
        train, validation = self.compute_mean_score("train/loss"), self.compute_mean_score("validation/loss")
        return None if train is None or validation is None else train - validation


def build_row(records: Sequence[Record], confidence: float) -> Row:
    """Build the row of one label from the records of its confirmed trials, of which there is at least one."""
    finished = [r for r in records if r.status == "done"]
    costs = [r.costs for r in finished or records if r.costs]  # one that diverged early would look cheap
    costs_by_name = {cost.name: [v for c in costs if (v := cost.value(c)) is not None] for cost in COSTS.values()}
    metrics = METRICS.values() if finished else ()
    return Row(
        label=records[0].trial.label,
        method=records[0].trial.method,
        records=tuple(records),
        scores={m.name: estimate_mean(build_score_matrix(finished, m), confidence) for m in metrics},
        costs={name: fmean(of_seeds) for name, of_seeds in costs_by_name.items() if of_seeds},
    )


def build_score_matrix(records: Sequence[Record], metric: Metric) -> ScoreMatrix:
    """The test scores of one method's trials, seed by example."""
    predictions = [sorted(record.predictions, key=lambda p: p.row) for record in records]
    return ScoreMatrix(
        np.array([[metric.get_numerator(p) for p in of_seed] for of_seed in predictions]),
        np.array([metric.weight(p) for p in predictions[0]], dtype=float),
        seed_ids=tuple(record.trial.seed for record in records),
        trained=METHODS[records[0].trial.method].trains,
    )
