"""A training that stops anywhere and goes on is the training that never stopped, to the last bit."""

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tuneoff.config.data import FileText
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, load_text
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress
from tuneoff.system.interrupts import Stopped
from tuneoff.training import checkpoint
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint
from tuneoff.training.loop import Training, train
from tuneoff.training.trainer import TrainingSpec

TRAINED = {
    **{name: method.read({}) for name, method in METHODS.items() if method.depends_on_seed and name != "peft"},
    "lora-dropout": METHODS["lora"].read({"dropout": 0.5}),
    "adalora": METHODS["peft"].read({"peft_type": "ADALORA"}),
}
Train = Callable[..., tuple[LanguageModel, Training]]


@pytest.fixture
def train_on(text_file: Path, load_tiny: Callable[[str], LanguageModel]) -> Train:
    sizes = {"validation": 2, "test": 2}
    options = {"source": "jsonl", "files": str(text_file), "sizes": sizes, "max_tokens": 64, "max_target_tokens": 24}
    text: TextData = load_text(FileText.read(options), load_tiny("qwen2").tokenizer)

    def go(method: Method, rungs: tuple[float, ...], on_progress: OnProgress = ignore_progress, **where: Any) -> Any:
        torch.manual_seed(0)
        model = hold_for_training(method.apply(load_tiny("gpt_neo")), torch.float32)
        job = TrainingSpec(
            text=text,
            options=TrainingOptions(epochs=3, batch_size=2, schedule="cosine", warmup=0.2, patience=2),
            learning_rate=method.learning_rate,
            weight_decay=method.weight_decay,
            loss_on="target",
            evaluation_batch_size=2,
            seed=0,
            rungs=rungs,
        )
        context = create_context(torch.device("cpu"), "float32", on_progress)
        return model, train(model, job, context, rates=method.parameter_groups(model), **where)

    return go


def without_clocks(training: Training) -> list[dict[str, Any]]:
    return [row.model_dump(exclude={"train_seconds", "evaluation_seconds"}) for row in training.curve]


def stopping_in(phase: str, occurrence: int) -> OnProgress:
    """Someone who has it stopped at the nth moment of a phase."""
    left = [occurrence]

    def on_progress(progress: Progress) -> None:
        left[0] -= progress.phase == phase
        if not left[0]:
            raise Stopped("asked")

    return on_progress


@pytest.mark.parametrize("method", TRAINED.values(), ids=TRAINED)
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(
    method: Method, train_on: Train, tmp_path: Path
) -> None:
    """It ends at a rung, and is then stopped within an epoch, and in the validation behind it."""
    path = tmp_path / "checkpoint.safetensors"
    whole, undisturbed = train_on(method, (0.4, 1.0))
    train_on(method, (0.4,), checkpoint_writer=CheckpointWriter(path, always_last=True))
    for phase, occurrence in (("training", 1), ("validation", 1)):
        torch.randn(7)  # whatever else drew a number in between
        with pytest.raises(Stopped):
            train_on(
                method, (0.4, 1.0), stopping_in(phase, occurrence),
                resume_from=read_checkpoint(path), checkpoint_writer=CheckpointWriter(path),
            )  # fmt: skip
    resumed, training = train_on(method, (0.4, 1.0), resume_from=read_checkpoint(path))
    assert without_clocks(training) == without_clocks(undisturbed)
    assert training.best_epoch == undisturbed.best_epoch
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_seconds_and_memory_of_before_and_after_an_interruption_add_up(train_on: Train, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        train_on(TRAINED["lora"], (1.0,), stopping_in("training", 3), checkpoint_writer=CheckpointWriter(path))
    there = read_checkpoint(path)
    assert there is not None
    assert there.sums["train_seconds"] > 0
    assert there.memory["training"].peak_bytes
    doubled = replace(there, sums=there.sums | {"train_seconds": 1000.0})
    _, training = train_on(TRAINED["lora"], (1.0,), resume_from=doubled)
    assert 1000 < training.curve[1].train_seconds < 1100
    assert training.curve[2].train_seconds < 100


def test_a_rung_ends_within_an_epoch_and_is_validated_there(train_on: Train) -> None:
    _, training = train_on(TRAINED["lora"], (0.3,))
    assert [row.epoch for row in training.curve] == [0, 1.0]
    _, training = train_on(TRAINED["lora"], (0.5,))
    assert [row.epoch for row in training.curve] == [0, 1.0, 1.5]
    assert [row.steps for row in training.curve] == [0, 4, 2]


def test_the_rate_follows_the_schedule_of_the_full_training_from_the_start(train_on: Train) -> None:
    _, rung = train_on(TRAINED["lora"], (0.5,))
    _, whole = train_on(TRAINED["lora"], (0.5, 1.0))
    assert [row.learning_rate for row in rung.curve] == [row.learning_rate for row in whole.curve[:3]]


def test_a_rung_that_patience_ended_stays_ended(train_on: Train, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    hot = METHODS["full"].read({"learning_rate": 0.3})
    _, stopped = train_on(hot, (1.0,), checkpoint_writer=CheckpointWriter(path, always_last=True))
    _, again = train_on(hot, (1.0,), resume_from=read_checkpoint(path))
    assert without_clocks(again) == without_clocks(stopped)


@pytest.fixture
def written(train_on: Train, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    train_on(TRAINED["lora"], (0.5,), checkpoint_writer=CheckpointWriter(path, always_last=True))
    return path


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "checkpoint.safetensors") is None


@pytest.mark.parametrize("where", [0, 0.1, 0.5, 0.999])
def test_a_checkpoint_with_one_other_bit_is_set_aside_with_a_message(
    where: float, written: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(written.read_bytes())
    content[int(where * len(content))] ^= 1
    written.write_bytes(content)
    assert read_checkpoint(written) is None
    assert "is damaged" in caplog.text
    assert (written.with_name("checkpoint.bad").read_bytes(), written.exists()) == (content, False)


def test_a_checkpoint_that_was_cut_is_set_aside(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-100])
    assert read_checkpoint(written) is None


def test_the_last_good_checkpoint_stays_until_the_next_is_whole(written: Path) -> None:
    """As on a full disk: the system lets no file grow beyond a size."""
    there = read_checkpoint(written)
    assert there is not None
    larger = replace(there, tensors=there.tensors | {"more/0": torch.zeros(100_000)})
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
    try:
        with pytest.raises(OSError, match="File too large"):
            larger.write(written)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert read_checkpoint(written) is not None
    assert [file.name for file in written.parent.iterdir() if "checkpoint" in file.name] == [written.name]


def test_checkpoints_are_written_as_often_as_is_due_and_never_more_than_they_cost(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, now = read_checkpoint(written), [0.0]
    assert there is not None
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint.Checkpoint, "write", lambda *_: now.__setitem__(0, now[0] + 10))
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 60)
    checkpoint_writer, due = CheckpointWriter(written), []
    for now[0] in (59, 60):
        due.append(checkpoint_writer.is_due())
    checkpoint_writer.write(there)  # takes 10 s
    for now[0] in (200, 269, 270):
        due.append(checkpoint_writer.is_due())
    assert due == [False, True, False, False, True]
