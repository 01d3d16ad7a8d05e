"""How long it takes to open a run with many records: `python -m benchmarks.opening --records 10000`.

The records are those of a search without training, of a realistic size: each has a curve, and one in ten has
predictions. CPU seconds of this process are printed, so that a busy machine does not matter.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.search_calibration import make_setting
from tuneoff.records.record import Costs, Epoch, Prediction, Record
from tuneoff.records.trial import Trial
from tuneoff.runs import RunDirectory
from tuneoff.runs.writing import write_record

EPOCHS, PREDICTIONS, TESTED = 10, 50, 10  # rows of a curve; predictions of a tested trial; one in how many is tested


def make_records(count: int) -> list[Record]:
    """Return records of different trials."""
    setting = make_setting()
    knobs = {"rank": 8, "alpha": 16.0, "dropout": 0.0, "weight_decay": 0.0, "targets": "all-linear"}
    return [
        make_record(
            Trial(
                label="lora", method="lora", setting=setting, seed=seed,
                hyperparameters={**knobs, "learning_rate": 1e-4 * (1 + seed / count)},
                stage="confirm" if seed % TESTED == 0 else "search",
            )
        )
        for seed in range(count)
    ]  # fmt: skip


def make_record(trial: Trial) -> Record:
    """Return a finished record of a trial, with made-up numbers."""
    curve = tuple(
        Epoch(epoch=epoch, steps=100, train_loss=2.0, validation_loss=2.1, learning_rate=1e-4, train_seconds=12.345,
              evaluation_seconds=1.234, real_tokens=123_456, target_tokens=23_456) for epoch in range(EPOCHS)
    )  # fmt: skip
    costs = Costs(trainable_parameters=10**6, total_parameters=10**8, train_seconds=123.4, mean_epoch_seconds=12.3,
                  slowest_epoch_seconds=13.1, evaluation_seconds=12.3, generation_seconds=4.5, inference=None,
                  real_tokens_per_second=1e4, target_tokens_per_second=1e3, training_memory=None,
                  evaluation_memory=None, adapter_bytes=10**7)  # fmt: skip
    is_tested = trial.stage == "confirm"
    predictions = tuple(
        Prediction(row=row, source="The river rose in the night. " * 20, reference="A storm closed the harbour. " * 4,
                   prediction="The storm closed a harbour. " * 4, loss=40.0, target_tokens=20,
                   scores={"rouge1": 0.5, "rouge2": 0.3, "rougeL": 0.4}) for row in range(PREDICTIONS)
    )  # fmt: skip
    return Record(trial=trial, status="done", best_epoch=3, scores={"validation/loss": 2.1, "test/loss": 2.0},
                  curve=curve, costs=costs, predictions=predictions if is_tested else ())  # fmt: skip


def main() -> None:
    """Write the run, and print how long it takes to read it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNEOFF_CACHE"] = str(Path(folder, "cache"))
        run = RunDirectory(Path(folder, "run"))
        records = make_records(options.records)
        written = _time(lambda: [write_record(run.get_trial_folder(r.trial), r, Path("none")) for r in records])
        size = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
        print(f"{options.records} records, {size / 2**20:.0f} MiB\n\n| what | CPU seconds |\n| --- | ---: |")
        print(f"| write | {written:.1f} |")
        for what in ("read", "read again"):
            print(f"| {what} | {_time(run.read_records):.2f} |", flush=True)


def _time(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
