"""How reliably a method trains: the confirmed runs that were lost, and the score with them counted.

A run is lost if it diverged or failed, or if its validation loss is above the base model's: it would not be used. A
mean over the other runs alone would praise a method for the runs that it lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tuneoff.analysis.row import Row
from tuneoff.analysis.statistics import Estimate, ScoreMatrix, estimate_mean
from tuneoff.metrics import Metric
from tuneoff.records.record import Record

VALIDATION_LOSS = "validation/loss"


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How many runs were lost, and the interval of their share."""

    runs: int
    lost: tuple[Record, ...]
    confidence: float

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The Clopper-Pearson interval of the share of lost runs, which is exact."""
        from scipy.stats import binomtest

        low, high = binomtest(len(self.lost), self.runs).proportion_ci(self.confidence)
        return float(low), float(high)


def assess_reliability(row: Row, base: Row | None, confidence: float) -> Reliability:
    """Count the lost runs of a row.

    Args:
        base: the base model's row; without one, a run that is worse than it cannot be recognized.
        confidence: of the interval of their share.
    """
    lost = tuple(record for record in row.records if record.status != "done" or has_collapsed(record, base))
    return Reliability(runs=len(row.records), lost=lost, confidence=confidence)


def has_collapsed(record: Record, base: Row | None) -> bool:
    """Return whether the trained model is worse on validation than the base model."""
    base_loss = base.compute_mean_score(VALIDATION_LOSS) if base and record.trial.label != base.label else None
    loss = record.scores.get(VALIDATION_LOSS)
    return base_loss is not None and loss is not None and loss > base_loss


def estimate_with_lost_runs(
    row: Row, base: Row | None, metric: Metric, reliability: Reliability, confidence: float
) -> Estimate | None:
    """Estimate a row's mean score with every lost run counted as the base model's.

    Returns:
        None if nothing was lost, or the base model has no score.
    """
    if not reliability.lost or base is None or metric.name not in base.matrices:
        return None
    kept = [record.trial.seed for record in row.finished if record not in reliability.lost]
    base_scores = base.matrices[metric.name]
    rows = [base_scores.numerators_SE[:1]] * len(reliability.lost)
    if kept:
        rows.append(row.matrices[metric.name].select_seeds(kept).numerators_SE)
    scores = ScoreMatrix(
        np.concatenate(rows), base_scores.denominators_E, step=base_scores.step, bounds=base_scores.bounds
    )
    return estimate_mean(scores, confidence)
