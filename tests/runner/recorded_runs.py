"""What tests read of a comparison: the events that its listener got, and the records that it wrote."""

from pathlib import Path
from typing import Any

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import SilentListener, Tallies
from tuneoff.runs import RunDirectory

MEASURED_COSTS = {
    "train_seconds", "mean_epoch_seconds", "slowest_epoch_seconds", "evaluation_seconds", "generation_seconds",
    "real_tokens_per_second", "target_tokens_per_second", "training_memory", "evaluation_memory", "inference",
}  # fmt: skip


class RecordingListener(SilentListener):
    """Remembers which trials started, by label, and the records of those that ended."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[Record] = []

    def on_trial_start(self, trial: Trial) -> Any:
        self.started.append(trial.label)
        return super().on_trial_start(trial)

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self.ended.append(record)


def read_records_by_label(run: Path) -> dict[str, Record]:
    return {record.trial.label: record for record in RunDirectory(run).read().records}


def read_records_by_id(run: Path) -> dict[str, Record]:
    return {record.trial.id: record for record in RunDirectory(run).read_records()}


def dump_reproducible(record: Record) -> dict[str, Any]:
    """Return everything of a record except measurements of time and memory."""
    values = record.model_dump(mode="json", exclude={"costs": MEASURED_COSTS})
    values["curve"] = [row.model_dump(exclude={"train_seconds", "evaluation_seconds"}) for row in record.curve]
    values["predictions"] = [prediction.model_dump() for prediction in record.predictions]
    return values
