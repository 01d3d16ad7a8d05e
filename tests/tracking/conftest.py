"""A run with every outcome of a trial."""

import os

import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.records.record import Epoch, Record, TrainingPart
from tuneoff.tracking.content import Group

LABELS = {
    "base": {},
    "lora": {},
    "lora-hot": {"method": "lora", "learning_rate": 0.05},
    "lora-r256": {"method": "lora", "rank": 256},
}


@pytest.fixture(scope="session")
def records() -> dict[str, Record]:
    """By label and seed; lora-hot diverged, and lora-r256 failed."""
    run = make_synthetic_run(name="fair", methods=LABELS, seeds=[0, 1])
    return {f"{record.trial.label} {record.trial.seed}": record for record in run.records}


@pytest.fixture(scope="session")
def long_record(records: dict[str, Record]) -> Record:
    """One with parts of epochs, as records have them since version 0.2, of which one was not finite."""
    parts = tuple(TrainingPart(steps=3, train_loss=loss) for loss in (3.1, None, 2.75))
    rows = (
        Epoch(epoch=0, steps=0, train_loss=None, validation_loss=3.5, learning_rate=0, train_seconds=0,
              evaluation_seconds=1, real_tokens=0, target_tokens=0),
        Epoch(epoch=1, steps=9, train_loss=2.9, validation_loss=2.8, learning_rate=4e-4, train_seconds=7.5,
              evaluation_seconds=1, real_tokens=900, target_tokens=90, parts=parts),
        Epoch(epoch=2, steps=9, train_loss=2.6, validation_loss=float("inf"), learning_rate=1e-4, train_seconds=7.25,
              evaluation_seconds=1, real_tokens=910, target_tokens=91, parts=parts),
    )  # fmt: skip
    return records["lora 0"].model_copy(update={"curve": rows})


@pytest.fixture
def group() -> Group:
    return Group(id="0123456789abcdef", project="fair", name="fair")


@pytest.fixture(scope="session", autouse=True)
def own_trackio(tmp_path_factory: pytest.TempPathFactory) -> None:
    """trackio reads its folder once in a process."""
    os.environ["TRACKIO_DIR"] = str(tmp_path_factory.mktemp("trackio"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "WANDB_DIR", "WANDB_MODE"):
        os.environ.pop(name, None)
