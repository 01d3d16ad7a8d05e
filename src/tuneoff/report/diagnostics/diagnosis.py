"""The diagnosis itself, and how all of them name a learning rate and a seed."""

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


def get_learning_rate(record: Record) -> float:
    """Return the learning rate of a trial, zero where it has none."""
    return float(record.trial.hyperparameters.get("learning_rate", 0.0))


def format_learning_rate(record: Record) -> str:
    """Format the learning rate of a trial, such as `5e-4`."""
    return format_rate(get_learning_rate(record))


def format_seed_prefix(row: Row, record: Record) -> str:
    """Return `Seed 1: ` where the row has several trials, and nothing where it has one."""
    return f"Seed {record.trial.seed}: " if len(row.records) > 1 else ""
