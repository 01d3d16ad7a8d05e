"""When memory runs out, training continues with fewer examples at once and the same effective batch size."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.tiny_training import (
    TRAINED_METHODS,
    RunTraining,
    TrainToRungs,
    get_losses,
    load_rows,
    run_training,
    stop_at,
    text,
    train_to_rungs,
)
from tuneoff.data.batches import Batch
from tuneoff.errors import OutOfMemoryError
from tuneoff.methods import METHODS, Method
from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing, uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.progress import Progress
from tuneoff.system.interrupts import Stopped
from tuneoff.training import trainer
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint

__all__ = ["load_rows", "run_training", "text", "train_to_rungs"]  # fixtures
FitAtMost = Callable[..., None]


@pytest.fixture
def fit_at_most(monkeypatch: pytest.MonkeyPatch) -> FitAtMost:
    original = trainer.compute_token_losses

    def limit(examples: int, *, from_pass: int = 0, error: type[Exception] = torch.OutOfMemoryError) -> None:
        """From the nth pass on, let a forward pass with more examples run out of memory."""
        passes = iter(range(10_000))

        def limited(model: object, batch: Batch) -> torch.Tensor:
            if len(batch.rows) > examples and next(passes) >= from_pass:
                raise error("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return original(model, batch)  # type: ignore[arg-type]

        monkeypatch.setattr(trainer, "compute_token_losses", limited)

    return limit


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_the_largest_micro_batch_that_fits_is_found_before_the_first_step(
    error: type[Exception], run_training: RunTraining, fit_at_most: FitAtMost
) -> None:
    chosen, _ = run_training(batch_size=2, accumulation=4)
    fit_at_most(2, error=error)
    reduced, training = run_training(batch_size=8)
    assert training.micro_batch == 2
    for a, b in zip(chosen.parameters(), reduced.parameters(), strict=True):
        assert torch.equal(a, b)


def test_when_memory_runs_out_in_a_step_it_is_repeated_with_half_as_many_examples(
    run_training: RunTraining, fit_at_most: FitAtMost
) -> None:
    expected = get_losses(run_training(batch_size=8, epochs=3)[1])
    events: list[Progress] = []
    fit_at_most(4, from_pass=2)  # pass 0 is the dry run
    _, training = run_training(batch_size=8, epochs=3, on_progress=events.append)
    assert training.micro_batch == 4
    assert [event.epoch for event in events if event.phase == "training" and event.done] == [1, 2, 3]
    for a, b in zip(get_losses(training), expected, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    assert training.curve[-1].target_tokens == training.curve[1].target_tokens


def test_a_single_example_that_does_not_fit_is_an_error_that_names_a_cure(
    run_training: RunTraining, fit_at_most: FitAtMost
) -> None:
    fit_at_most(0)
    with pytest.raises(OutOfMemoryError, match=r"One example at a time.*Lower data\.max_tokens"):
        run_training(batch_size=8)


def test_an_error_other_than_out_of_memory_is_not_caught(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(trainer, "compute_token_losses", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        run_training()


def test_a_training_with_enough_memory_reports_no_micro_batch(run_training: RunTraining) -> None:
    assert run_training()[1].micro_batch is None


def test_a_resumed_training_keeps_its_micro_batch(
    train_to_rungs: TrainToRungs, tmp_path: Path, fit_at_most: FitAtMost
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    fit_at_most(1)
    with pytest.raises(Stopped):
        train_to_rungs(
            TRAINED_METHODS["lora"], (1.0,), stop_at("training", 3), checkpoint_writer=CheckpointWriter(path, "t")
        )
    checkpoint = read_checkpoint(path, "t")
    assert checkpoint is not None
    assert checkpoint.micro_batch == 1
    fit_at_most(2)
    _, training = train_to_rungs(TRAINED_METHODS["lora"], (1.0,), resume_from=checkpoint)
    assert training.micro_batch == 1
    _, other = train_to_rungs(TRAINED_METHODS["lora"], (1.0,), resume_from=replace(checkpoint, micro_batch=2))
    assert other.micro_batch is None


def test_when_a_single_example_does_not_fit_gradient_checkpointing_is_switched_on(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trainer.compute_token_losses
    plain, _ = run_training(batch_size=1)

    def fit_only_with_checkpointing(model: LanguageModel, batch: Batch) -> torch.Tensor:
        if model.training and not uses_gradient_checkpointing(model.base):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(model, batch)

    monkeypatch.setattr(trainer, "compute_token_losses", fit_only_with_checkpointing)
    checkpointed, training = run_training(batch_size=1)
    assert training.gradient_checkpointing
    assert not uses_gradient_checkpointing(checkpointed.base), "only during training"
    for a, b in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(OutOfMemoryError, match=r"\(CUDA out of memory\).*Lower data\.max_tokens"):
        run_training(batch_size=1, gradient_checkpointing="never")


def test_on_a_cpu_the_memory_limit_acts_like_the_memory_of_a_gpu(run_training: RunTraining) -> None:
    with pytest.raises(OutOfMemoryError, match=r"MB of 1 MB"):
        run_training(memory_limit="1MB")
    assert run_training(memory_limit="500GB")[1].micro_batch is None


@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
@pytest.mark.parametrize("method", [m for m in METHODS.values() if m.trains], ids=lambda m: m.name)
def test_gradient_checkpointing_changes_no_gradient(
    method: type[Method], architecture: str, load_tiny: Callable[[str], LanguageModel]
) -> None:
    def compute_gradients(checkpointed: bool) -> list[torch.Tensor]:
        base = load_tiny(architecture)
        torch.manual_seed(0)
        model = method.read({"peft_type": "VERA"} if method.name == "peft" else {}).apply(base).train()
        if checkpointed:
            set_gradient_checkpointing(model.base, True)
        tokens_BT = torch.arange(24).reshape(2, 12)
        logits = model.logits(tokens_BT, torch.ones_like(tokens_BT).bool(), tokens_BT % 12 > 3)
        logits.logsumexp(-1).sum().backward()
        assert uses_gradient_checkpointing(model.base) is checkpointed
        return [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]

    if (method.name, architecture) == ("bitfit", "llama"):
        pytest.skip("Llama has no biases")
    plain, checkpointed = compute_gradients(False), compute_gradients(True)
    assert len(plain) == len(checkpointed) > 0
    for a, b in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(a, b)
