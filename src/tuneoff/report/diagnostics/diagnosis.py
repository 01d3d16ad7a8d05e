"""The diagnosis itself, and how all of them name a learning rate and a seed."""

import math
from dataclasses import dataclass

from tuneoff.analysis.row import Row
from tuneoff.records.record import Record
from tuneoff.report.format import format_rate


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing to know before quoting a number. Without a label it concerns all methods."""

    label: str | None
    kind: str
    text: str


def list_validation_losses(record: Record) -> list[float]:
    """List the finite validation losses of a training, that before the first step included."""
    losses = [epoch.validation_loss for epoch in record.curve]
    return [loss for loss in losses if loss is not None and math.isfinite(loss)]


def has_worsened(record: Record) -> bool:
    """Return whether the validation loss was above that before training after every epoch."""
    start, *trained = list_validation_losses(record) or [math.inf]
    return bool(trained) and min(trained) > start


def get_learning_rate(record: Record) -> float:
    """Return the learning rate of a trial, zero where it has none."""
    return float(record.trial.hyperparameters.get("learning_rate", 0.0))


def format_learning_rate(record: Record) -> str:
    """Format the learning rate of a trial, such as `5e-4`."""
    return format_rate(get_learning_rate(record))


def format_seed_prefix(row: Row, record: Record) -> str:
    """Return `Seed 1: ` where the row has several trials, and nothing where it has one."""
    return f"Seed {record.trial.seed}: " if len(row.records) > 1 else ""
