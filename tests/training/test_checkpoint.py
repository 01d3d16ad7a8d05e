"""A training that stops at a rung and goes on is the training that never stopped, to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tuneoff.data import TextData, load_text
from tuneoff.data.options import FileText
from tuneoff.errors import RunError
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.progress import tell_nobody
from tuneoff.training.checkpoint import read_checkpoint
from tuneoff.training.loop import Job, Training, train
from tuneoff.training.options import TrainingOptions
from tuneoff.workbench import set_up

TRAINED = {
    **{name: method.read({}) for name, method in METHODS.items() if method.depends_on_seed and name != "peft"},
    "lora-dropout": METHODS["lora"].read({"dropout": 0.5}),
}
Train = Callable[..., tuple[LanguageModel, Training]]


@pytest.fixture
def train_on(text_file: Path, load_tiny: Callable[[str], LanguageModel]) -> Train:
    sizes = {"validation": 2, "test": 2}
    options = {"source": "jsonl", "files": str(text_file), "sizes": sizes, "max_tokens": 64, "max_target_tokens": 24}
    text: TextData = load_text(FileText.read(options), load_tiny("qwen2").tokenizer)

    def go(method: Method, rungs: tuple[float, ...], **where: Any) -> Any:
        torch.manual_seed(0)
        model = method.apply(load_tiny("gpt_neo")).hold_for_training(torch.float32)
        job = Job(
            text=text,
            options=TrainingOptions(epochs=3, batch_size=2, schedule="cosine", warmup=0.2, patience=2),
            learning_rate=method.learning_rate,
            weight_decay=method.weight_decay,
            loss_on="target",
            evaluation_batch_size=2,
            seed=0,
            rungs=rungs,
        )
        bench = set_up(torch.device("cpu"), "float32", tell_nobody)
        return model, train(model, job, bench, rates=method.rates(model), **where)

    return go


def without_clocks(training: Training) -> list[dict[str, Any]]:
    return [row.model_dump(exclude={"train_seconds", "evaluation_seconds"}) for row in training.curve]


@pytest.mark.parametrize("method", TRAINED.values(), ids=TRAINED)
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(
    method: Method, train_on: Train, tmp_path: Path
) -> None:
    whole, undisturbed = train_on(method, (0.3, 1.0))
    train_on(method, (0.3,), keep_in=tmp_path / "checkpoint")
    torch.randn(7)  # whatever else drew a number in between
    resumed, training = train_on(method, (0.3, 1.0), go_on_from=read_checkpoint(tmp_path / "checkpoint"))
    assert without_clocks(training) == without_clocks(undisturbed)
    assert training.best_epoch == undisturbed.best_epoch
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


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
    hot = METHODS["full"].read({"learning_rate": 0.3})
    _, stopped = train_on(hot, (1.0,), keep_in=tmp_path / "checkpoint")
    _, again = train_on(hot, (1.0,), go_on_from=read_checkpoint(tmp_path / "checkpoint"))
    assert without_clocks(again) == without_clocks(stopped)


def test_no_checkpoint_is_no_error_and_a_damaged_one_is_named(train_on: Train, tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "checkpoint") is None
    train_on(TRAINED["lora"], (0.5,), keep_in=tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "tensors.safetensors").write_bytes(b"cut")
    with pytest.raises(RunError, match=r"checkpoint.*cannot be read.*Remove it"):
        read_checkpoint(tmp_path / "checkpoint")
