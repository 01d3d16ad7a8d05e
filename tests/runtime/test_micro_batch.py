"""When memory runs out a training goes on with fewer examples at once, and with the same effective batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.test_checkpoint import TRAINED, Train, stopping_in, train_on
from tests.training.test_loop import Run, losses, run, text
from tuneoff.errors import OutOfMemoryError
from tuneoff.methods import METHODS, Method
from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing, uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.progress import Progress
from tuneoff.system.interrupts import Stopped
from tuneoff.training import trainer
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint

__all__ = ["run", "text", "train_on"]  # fixtures
Limit = Callable[..., None]


@pytest.fixture
def room_for(monkeypatch: pytest.MonkeyPatch) -> Limit:
    original = trainer.compute_token_losses

    def limit(examples: int, *, from_pass: int = 0, error: type[Exception] = torch.OutOfMemoryError) -> None:
        """No more than so many examples fit into a forward pass, from the nth pass on."""
        passes = iter(range(10_000))

        def limited(model: object, batch: trainer.Batch) -> torch.Tensor:
            if len(batch.rows) > examples and next(passes) >= from_pass:
                raise error("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return original(model, batch)  # type: ignore[arg-type]

        monkeypatch.setattr(trainer, "compute_token_losses", limited)

    return limit


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_the_largest_micro_batch_that_fits_is_found_before_the_first_step(
    error: type[Exception], run: Run, room_for: Limit
) -> None:
    asked, _ = run(batch_size=2, accumulation=4)
    room_for(2, error=error)
    found, training = run(batch_size=8)
    assert training.micro_batch == 2
    for a, b in zip(asked.parameters(), found.parameters(), strict=True):
        assert torch.equal(a, b)


def test_where_memory_runs_out_in_mid_run_the_step_is_repeated_with_half_as_many(run: Run, room_for: Limit) -> None:
    undisturbed = losses(run(batch_size=8, epochs=3)[1])
    told: list[Progress] = []
    room_for(4, from_pass=2)  # one is the rehearsal
    _, training = run(batch_size=8, epochs=3, on_progress=told.append)
    assert training.micro_batch == 4
    assert [moment.epoch for moment in told if moment.phase == "training"] == [1, 2, 3]
    for a, b in zip(losses(training), undisturbed, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    assert training.curve[-1].target_tokens == training.curve[1].target_tokens


def test_one_example_that_does_not_fit_is_an_error_with_what_would_help(run: Run, room_for: Limit) -> None:
    room_for(0)
    with pytest.raises(OutOfMemoryError, match=r"One example at a time.*Lower data\.max_tokens"):
        run(batch_size=8)


def test_what_is_no_lack_of_memory_is_handed_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(trainer, "compute_token_losses", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        run()


def test_a_training_that_had_enough_memory_says_nothing_of_it(run: Run) -> None:
    assert run()[1].micro_batch is None


def test_a_training_that_goes_on_keeps_its_micro_batch(train_on: Train, tmp_path: Path, room_for: Limit) -> None:
    path = tmp_path / "checkpoint.safetensors"
    room_for(1)
    with pytest.raises(Stopped):
        train_on(TRAINED["lora"], (1.0,), stopping_in("training", 3), checkpoint_writer=CheckpointWriter(path))
    there = read_checkpoint(path)
    assert there is not None
    assert there.micro_batch == 1
    room_for(2)
    _, training = train_on(TRAINED["lora"], (1.0,), resume_from=there)
    assert training.micro_batch == 1
    _, other = train_on(TRAINED["lora"], (1.0,), resume_from=replace(there, micro_batch=2))
    assert other.micro_batch is None


def test_where_one_example_does_not_fit_blocks_are_computed_again_in_the_backward_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trainer.compute_token_losses
    plain, _ = run(batch_size=1)

    def fitting_if_checkpointed(model: LanguageModel, batch: trainer.Batch) -> torch.Tensor:
        if model.training and not uses_gradient_checkpointing(model.base):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(model, batch)

    monkeypatch.setattr(trainer, "compute_token_losses", fitting_if_checkpointed)
    spared, training = run(batch_size=1)
    assert training.gradient_checkpointing
    assert not uses_gradient_checkpointing(spared.base), "only while it trains"
    for a, b in zip(plain.parameters(), spared.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(OutOfMemoryError, match=r"\(CUDA out of memory\).*Lower data\.max_tokens"):
        run(batch_size=1, gradient_checkpointing="never")


def test_on_a_cpu_a_limit_takes_the_place_of_a_cards_memory(run: Run) -> None:
    with pytest.raises(OutOfMemoryError, match=r"MB of 1 MB"):
        run(memory_limit="1MB")
    assert run(memory_limit="500GB")[1].micro_batch is None


@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
@pytest.mark.parametrize("method", [m for m in METHODS.values() if m.depends_on_seed], ids=lambda m: m.name)
def test_gradient_checkpointing_changes_no_gradient(
    method: type[Method], architecture: str, load_tiny: Callable[[str], LanguageModel]
) -> None:
    def gradients(checkpointed: bool) -> list[torch.Tensor]:
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
        pytest.skip("a Llama has no biases")
    plain, checkpointed = gradients(False), gradients(True)
    assert len(plain) == len(checkpointed) > 0
    for a, b in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(a, b)
