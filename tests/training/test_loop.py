"""The training loop: how it weights tokens, when it stops, which weights it keeps, and that it is reproducible."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from tests.training.tiny_training import RunTraining, get_losses, load_rows, run_training, text
from tuneoff.data import TextData, batches
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.progress import Progress
from tuneoff.training import loop, trainer

__all__ = ["load_rows", "run_training", "text"]  # fixtures


def test_the_first_loss_is_that_of_uniform_guessing(run_training: RunTraining) -> None:
    _, training = run_training(epochs=1, batch_size=8)
    assert training.curve[0].validation_loss == pytest.approx(math.log(320), abs=0.05)


def test_the_curve_has_a_training_loss_for_parts_of_an_epoch(run_training: RunTraining) -> None:
    _, training = run_training(epochs=1, batch_size=2)
    (_, epoch) = training.curve
    assert epoch.steps == len(epoch.parts) > 2
    assert {part.steps for part in epoch.parts} == {1}
    assert min(p.train_loss for p in epoch.parts) < epoch.train_loss < max(p.train_loss for p in epoch.parts)


def test_a_long_training_has_a_curve_of_a_limited_number_of_parts(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CURVE_PARTS", 2)
    _, training = run_training(epochs=1, batch_size=1)
    (_, epoch) = training.curve
    assert len(epoch.parts) == 2
    assert sum(part.steps for part in epoch.parts) == epoch.steps


def test_the_same_seed_gives_the_same_losses_to_the_last_bit(run_training: RunTraining) -> None:
    dropout = METHODS["lora"].read({"dropout": 0.5})
    assert get_losses(run_training(dropout)[1]) == get_losses(run_training(dropout)[1])


def test_another_seed_gives_another_order_and_other_losses(run_training: RunTraining) -> None:
    assert get_losses(run_training(seed=0)[1]) != get_losses(run_training(seed=1)[1])


def test_a_batch_of_eight_equals_four_accumulated_twos(run_training: RunTraining) -> None:
    options = {"epochs": 4, "schedule": "constant"}
    at_once, training = run_training(batch_size=8, **options)
    accumulated, _ = run_training(batch_size=2, accumulation=4, **options)
    assert training.curve[-1].train_loss < training.curve[1].train_loss
    for a, b in zip(at_once.parameters(), accumulated.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


def test_micro_batches_that_are_divided_where_lengths_fall_change_no_training(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    collate = trainer.collate
    monkeypatch.setattr(trainer, "collate", lambda *args: shapes.append(args[1]) or collate(*args))
    options = {"batch_size": 8, "epochs": 4, "schedule": "constant"}
    whole, training = run_training(**options)
    count = len(shapes)
    monkeypatch.setattr(batches, "WORTH_A_PASS", 2)
    divided, _ = run_training(**options)
    assert len(shapes) - count > count, "nothing was divided"
    assert training.curve[-1].train_loss < training.curve[1].train_loss
    for a, b in zip(whole.parameters(), divided.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


def test_a_step_weights_every_token_equally_in_any_micro_batch(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks the gradients, because AdamW would hide a wrong scale of all of them."""
    gradients: list[torch.Tensor] = []

    def record_gradients(_: Accelerator, parameters: list[torch.nn.Parameter], __: float) -> torch.Tensor:
        gradients.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
        return torch.ones(())

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", record_gradients)
    run_training(batch_size=9, epochs=1)
    run_training(batch_size=3, accumulation=3, epochs=1)
    at_once, accumulated = gradients
    torch.testing.assert_close(at_once, accumulated, rtol=1e-4, atol=1e-7)


def test_the_first_step_of_a_warm_up_has_a_learning_rate_above_zero(run_training: RunTraining) -> None:
    _, training = run_training(epochs=4, batch_size=8, warmup=0.5, schedule="linear")
    assert [row.learning_rate for row in training.curve] == pytest.approx([0.0, 0.0005, 0.001, 0.001, 0.0005])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_a_training_of_one_step_trains(run_training: RunTraining, schedule: str, warmup: float) -> None:
    _, training = run_training(epochs=1, batch_size=64, warmup=warmup, schedule=schedule)
    assert [row.steps for row in training.curve] == [0, 1]
    assert training.curve[1].learning_rate == pytest.approx(1e-3)
    assert training.curve[1].validation_loss != training.curve[0].validation_loss


def test_a_model_with_an_infinite_loss_before_its_first_step_has_diverged(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_validation_losses(monkeypatch, [math.inf])
    assert "before the first step" in (run_training()[1].diverged or "")


def test_training_lowers_the_validation_loss(run_training: RunTraining) -> None:
    _, training = run_training(METHODS["full"].read({"learning_rate": 1e-2}), epochs=4)
    assert training.curve[-1].validation_loss < training.curve[0].validation_loss - 0.3


def test_the_base_model_is_only_validated(run_training: RunTraining) -> None:
    _, training = run_training(METHODS["base"]())
    assert [row.epoch for row in training.curve] == [0]


def set_validation_losses(monkeypatch: pytest.MonkeyPatch, values: Sequence[float]) -> None:
    """Let the validations return `values`; the first is the untrained model's."""
    remaining = iter(values)
    monkeypatch.setattr(loop, "evaluate_mean_loss", lambda *_, **__: next(remaining))


def test_training_stops_after_patience_epochs_without_a_better_loss(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_validation_losses(monkeypatch, [5.0, 4.0, 3.0, 3.1, 3.2, 1.0])
    _, training = run_training(epochs=5, patience=2)
    assert (len(training.curve) - 1, training.best_epoch, training.stopped_early) == (4, 2, True)


def test_without_patience_every_epoch_is_trained(run_training: RunTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    set_validation_losses(monkeypatch, [5.0, 1.0, 2.0, 3.0])
    _, training = run_training(epochs=3)
    assert (len(training.curve) - 1, training.stopped_early) == (3, False)


def test_the_weights_of_the_best_epoch_are_restored(run_training: RunTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    constant: dict[str, Any] = {"schedule": "constant", "warmup": 0.0}
    set_validation_losses(monkeypatch, [5.0, 1.0])
    best, _ = run_training(epochs=1, **constant)
    set_validation_losses(monkeypatch, [5.0, 1.0, 2.0])
    longer, _ = run_training(epochs=2, **constant)
    assert all(torch.equal(a, b) for a, b in zip(best.parameters(), longer.parameters(), strict=True))


def test_an_epoch_worse_than_the_untrained_model_can_still_be_the_best(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_validation_losses(monkeypatch, [1.0, 2.0])
    assert run_training(epochs=1)[1].best_epoch == 1


def test_a_loss_that_is_not_finite_ends_the_training_as_diverged(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_losses(monkeypatch, lambda nats_N: nats_N * math.nan)
    model, training = run_training()
    assert training.diverged == "the training loss was nan in step 1 of epoch 1"
    assert is_unchanged(model, run_training)


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_gradients_that_are_not_finite_end_the_training_before_they_reach_the_weights(
    clip_norm: float | None, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_losses(monkeypatch, lambda nats_N: nats_N + (nats_N - nats_N.detach()).sqrt())  # same value, infinite slope
    model, training = run_training(clip_norm=clip_norm)
    assert (training.diverged or "").startswith("the norm of the gradients was ")
    assert (training.diverged or "").endswith(" in step 1 of epoch 1")
    assert training.curve[1].train_loss == pytest.approx(math.log(320), abs=0.1)
    assert is_unchanged(model, run_training)


def change_losses(monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change the losses of all steps, but not those of the dry run."""
    original, calls = trainer.compute_token_losses, iter(range(1000))
    monkeypatch.setattr(
        trainer, "compute_token_losses", lambda *batch: change(original(*batch)) if next(calls) else original(*batch)
    )


def is_unchanged(model: LanguageModel, run_training: RunTraining) -> bool:
    fresh, _ = run_training(METHODS["base"]())
    return all(torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))


def test_a_training_with_a_far_too_high_learning_rate_diverges(run_training: RunTraining) -> None:
    _, training = run_training(METHODS["full"].read({"learning_rate": 1e30}), epochs=3, clip_norm=None)
    assert training.diverged is not None
    assert "was nan in step 2 of epoch 1" in training.diverged


def remove_targets(text: TextData, rows: set[int]) -> TextData:
    """Return the text with no scored token in these rows of the train split."""
    scored = [[mark and row not in rows for mark in marks] for row, marks in enumerate(text.train["scored"])]
    return replace(text, train=text.train.remove_columns("scored").add_column("scored", scored))


def test_a_batch_without_a_target_changes_no_weight_and_raises_no_error(
    run_training: RunTraining, text: TextData
) -> None:
    model, training = run_training(text=remove_targets(text, set(range(len(text.train)))))
    assert (training.diverged, training.curve[1].train_loss, training.curve[1].target_tokens) == (None, None, 0)
    assert is_unchanged(model, run_training)


def test_a_micro_batch_without_a_target_does_not_affect_the_step(run_training: RunTraining, text: TextData) -> None:
    partly_scored = remove_targets(text, {0, 1, 2})
    accumulated, _ = run_training(text=partly_scored, batch_size=1, accumulation=8, epochs=1)
    at_once, training = run_training(text=partly_scored, batch_size=8, epochs=1)
    assert training.curve[1].target_tokens < text.summary.splits["train"].target_tokens
    for a, b in zip(accumulated.parameters(), at_once.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


def test_a_diverged_training_keeps_its_curve(run_training: RunTraining) -> None:
    _, training = run_training(METHODS["full"].read({"learning_rate": 1e30}), epochs=3, clip_norm=None)
    assert training.curve[-1].steps > 0


def test_a_training_whose_validation_loss_is_not_finite_has_diverged(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_validation_losses(monkeypatch, [5.0, math.nan])
    assert "validation loss" in (run_training()[1].diverged or "")


def test_the_curve_counts_real_and_target_tokens_of_every_epoch(run_training: RunTraining, text: TextData) -> None:
    _, training = run_training(epochs=1)
    assert training.curve[1].real_tokens == text.summary.splits["train"].tokens
    assert training.curve[1].target_tokens == text.summary.splits["train"].target_tokens


def test_the_rate_falls_linearly_to_zero_after_the_warm_up(run_training: RunTraining) -> None:
    _, training = run_training(epochs=2, batch_size=8, warmup=0.0)
    assert [row.learning_rate for row in training.curve] == pytest.approx([0.0, 0.001, 0.0005])


def test_every_epoch_and_every_step_emits_a_progress_event(run_training: RunTraining) -> None:
    events: list[Progress] = []
    run_training(epochs=2, on_progress=events.append)
    assert [(p.epoch, p.done, p.of) for p in events if p.phase == "training"] == [
        (1, 0, 0),
        (1, 1, 2),
        (1, 2, 2),
        (2, 0, 0),
        (2, 1, 2),
        (2, 2, 2),
    ]


def test_a_small_gradient_norm_limit_changes_the_losses(run_training: RunTraining) -> None:
    assert get_losses(run_training(clip_norm=1e-6, epochs=1)[1]) != get_losses(
        run_training(clip_norm=None, epochs=1)[1]
    )


def test_the_losses_of_one_seeded_training_do_not_change(run_training: RunTraining) -> None:
    _, training = run_training(METHODS["full"].read({"learning_rate": 1e-3}), epochs=2)
    assert [row.validation_loss for row in training.curve] == pytest.approx(EXPECTED_LOSSES, abs=2e-4)


EXPECTED_LOSSES = [5.7678, 5.7076, 5.6691]  # nats; torch 2.13 on a CPU, float32
