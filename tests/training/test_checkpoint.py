"""A training that is stopped and resumed anywhere equals an uninterrupted one to the last bit."""

import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny_training import TRAINED_METHODS, TrainToRungs, load_rows, stop_at, train_to_rungs
from tuneoff.methods import METHODS, Method
from tuneoff.system.interrupts import Stopped
from tuneoff.training import checkpoint as checkpoint_module
from tuneoff.training.checkpoint import Checkpoint, CheckpointWriter, read_checkpoint
from tuneoff.training.loop import TrainingResult

__all__ = ["load_rows", "train_to_rungs"]  # fixtures


def drop_seconds(training: TrainingResult) -> list[dict[str, Any]]:
    return [row.model_dump(exclude={"train_seconds", "evaluation_seconds"}) for row in training.curve]


@pytest.mark.parametrize("method", TRAINED_METHODS.values(), ids=TRAINED_METHODS)
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(
    method: Method, train_to_rungs: TrainToRungs, tmp_path: Path
) -> None:
    """It ends at a rung. It is then stopped in an epoch, and again in the validation after that."""
    path = tmp_path / "checkpoint.safetensors"
    uninterrupted, expected = train_to_rungs(method, (0.4, 1.0))
    train_to_rungs(method, (0.4,), checkpoint_writer=CheckpointWriter(path, "t", always_last=True))
    for phase, occurrence in (("training", 1), ("validation", 1)):
        torch.randn(7)  # other code draws random numbers in between
        with pytest.raises(Stopped):
            train_to_rungs(
                method, (0.4, 1.0), stop_at(phase, occurrence),
                resume_from=read_checkpoint(path, "t"), checkpoint_writer=CheckpointWriter(path, "t"),
            )  # fmt: skip
    resumed, training = train_to_rungs(method, (0.4, 1.0), resume_from=read_checkpoint(path, "t"))
    assert drop_seconds(training) == drop_seconds(expected)
    assert training.best_epoch == expected.best_epoch
    for a, b in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_seconds_and_memory_before_and_after_an_interruption_add_up(
    train_to_rungs: TrainToRungs, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        train_to_rungs(
            TRAINED_METHODS["lora"], (1.0,), stop_at("training", 3), checkpoint_writer=CheckpointWriter(path, "t")
        )
    checkpoint = read_existing(path)
    assert checkpoint.sums["train_seconds"] > 0
    assert checkpoint.memory["training"].peak_bytes
    slow = replace(checkpoint, sums=checkpoint.sums | {"train_seconds": 1000.0})
    _, training = train_to_rungs(TRAINED_METHODS["lora"], (1.0,), resume_from=slow)
    assert 1000 < training.curve[1].train_seconds < 1100
    assert training.curve[2].train_seconds < 100


def test_a_rung_ends_within_an_epoch_and_is_validated_there(train_to_rungs: TrainToRungs) -> None:
    _, training = train_to_rungs(TRAINED_METHODS["lora"], (0.3,))
    assert [row.epoch for row in training.curve] == [0, 1.0]
    _, training = train_to_rungs(TRAINED_METHODS["lora"], (0.5,))
    assert [row.epoch for row in training.curve] == [0, 1.0, 1.5]
    assert [row.steps for row in training.curve] == [0, 4, 2]


def test_the_rate_follows_the_schedule_of_the_full_training_from_the_start(train_to_rungs: TrainToRungs) -> None:
    _, rung = train_to_rungs(TRAINED_METHODS["lora"], (0.5,))
    _, full = train_to_rungs(TRAINED_METHODS["lora"], (0.5, 1.0))
    assert [row.learning_rate for row in rung.curve] == [row.learning_rate for row in full.curve[:3]]


def test_a_rung_that_ended_by_patience_is_not_trained_further(train_to_rungs: TrainToRungs, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    unstable = METHODS["full"].read({"learning_rate": 0.3})
    _, stopped = train_to_rungs(unstable, (1.0,), checkpoint_writer=CheckpointWriter(path, "t", always_last=True))
    _, resumed = train_to_rungs(unstable, (1.0,), resume_from=read_checkpoint(path, "t"))
    assert drop_seconds(resumed) == drop_seconds(stopped)


def read_existing(path: Path) -> Checkpoint:
    checkpoint = read_checkpoint(path, "t")
    assert checkpoint is not None
    return checkpoint


@pytest.fixture
def checkpoint_file(train_to_rungs: TrainToRungs, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    train_to_rungs(TRAINED_METHODS["lora"], (0.5,), checkpoint_writer=CheckpointWriter(path, "t", always_last=True))
    return path


def test_reading_a_missing_checkpoint_returns_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "checkpoint.safetensors", "t") is None


@pytest.mark.parametrize("position", [0, 0.1, 0.5, 0.999])
def test_a_checkpoint_with_one_flipped_bit_is_set_aside_with_a_warning(
    position: float, checkpoint_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(checkpoint_file.read_bytes())
    content[int(position * len(content))] ^= 1
    checkpoint_file.write_bytes(content)
    assert read_checkpoint(checkpoint_file, "t") is None
    assert "cannot be used" in caplog.text
    assert (checkpoint_file.with_name("checkpoint.bad").read_bytes(), checkpoint_file.exists()) == (content, False)


def test_a_truncated_checkpoint_is_set_aside(checkpoint_file: Path) -> None:
    checkpoint_file.write_bytes(checkpoint_file.read_bytes()[:-100])
    assert read_checkpoint(checkpoint_file, "t") is None


def test_the_previous_checkpoint_stays_until_the_next_is_complete(checkpoint_file: Path) -> None:
    """A limit on the file size stands in for a full disk."""
    checkpoint = read_existing(checkpoint_file)
    larger = replace(checkpoint, tensors=checkpoint.tensors | {"more/0": torch.zeros(100_000)})
    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard_limit))
    try:
        with pytest.raises(OSError, match="File too large"):
            larger.write(checkpoint_file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard_limit, hard_limit))
    assert read_checkpoint(checkpoint_file, "t") is not None
    assert [file.name for file in checkpoint_file.parent.iterdir() if "checkpoint" in file.name] == [
        checkpoint_file.name
    ]


def test_checkpoints_are_due_after_the_interval_and_rarely_enough_for_what_they_cost(
    checkpoint_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, now = read_existing(checkpoint_file), [0.0]
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint_module.Checkpoint, "write", lambda *_: now.__setitem__(0, now[0] + 10))
    monkeypatch.setattr(checkpoint_module, "MIN_INTERVAL_SECONDS", 60)
    checkpoint_writer, due = CheckpointWriter(checkpoint_file, "t"), []
    for now[0] in (59, 60):
        due.append(checkpoint_writer.is_due())
    checkpoint_writer.write(checkpoint)  # takes 10 s
    for now[0] in (200, 269, 270):
        due.append(checkpoint_writer.is_due())
    assert due == [False, True, False, False, True]


def test_the_checkpoint_of_another_trial_is_set_aside(checkpoint_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_checkpoint(checkpoint_file, "another") is None
    assert "it belongs to the trial t and not to another" in caplog.text
    assert checkpoint_file.with_name("checkpoint.bad").exists()
