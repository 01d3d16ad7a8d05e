"""The one loop: what it weighs, when it stops, what it keeps, and that it repeats itself to the last bit."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from tuneoff.config.data import FileText
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, load_text
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress
from tuneoff.training import loop, trainer
from tuneoff.training.loop import Training, train
from tuneoff.training.trainer import TrainingSpec

Run = Callable[..., tuple[LanguageModel, Training]]


@pytest.fixture
def text(text_file: Path, load_tiny: Callable[[str], LanguageModel]) -> TextData:
    options = FileText.read(
        {
            "source": "jsonl",
            "files": str(text_file),
            "sizes": {"validation": 2, "test": 2},
            "max_tokens": 64,
            "max_target_tokens": 24,
        }
    )
    return load_text(options, load_tiny("llama").tokenizer)


@pytest.fixture
def run(text: TextData, load_tiny: Callable[[str], LanguageModel]) -> Run:
    def go(
        method: Method | None = None,
        *,
        seed: int = 0,
        on_progress: OnProgress = ignore_progress,
        text: TextData = text,
        **options: Any,
    ) -> Any:
        method = method or METHODS["full"].read({"learning_rate": 1e-3})
        torch.manual_seed(seed)
        model = hold_for_training(method.apply(load_tiny("llama")), torch.float32)
        job = TrainingSpec(
            text=text,
            options=TrainingOptions(**{"epochs": 2, "batch_size": 4, **options}),
            learning_rate=method.learning_rate,
            weight_decay=method.weight_decay,
            loss_on="target",
            evaluation_batch_size=2,
            seed=seed,
        )
        return model, train(model, job, create_context(torch.device("cpu"), "float32", on_progress))

    return go


def losses(training: Training) -> list[tuple[float | None, float | None]]:
    return [(row.train_loss, row.validation_loss) for row in training.curve]


def test_the_first_losses_are_those_of_a_model_that_guesses(run: Run) -> None:
    _, training = run(epochs=1, batch_size=8)
    assert training.curve[0].validation_loss == pytest.approx(math.log(320), abs=0.05)


def test_the_same_seed_gives_the_same_losses_to_the_last_bit(run: Run) -> None:
    dropout = METHODS["lora"].read({"dropout": 0.5})
    assert losses(run(dropout)[1]) == losses(run(dropout)[1])


def test_another_seed_gives_another_order_and_other_losses(run: Run) -> None:
    assert losses(run(seed=0)[1]) != losses(run(seed=1)[1])


def test_a_batch_of_eight_equals_four_accumulated_twos(run: Run) -> None:
    how = {"epochs": 4, "schedule": "constant"}
    whole, training = run(batch_size=8, **how)
    parts, _ = run(batch_size=2, accumulation=4, **how)
    assert training.curve[-1].train_loss < training.curve[1].train_loss
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


def test_a_step_weighs_every_token_alike_whatever_its_micro_batch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the gradients themselves: AdamW hides a wrong scale of all of them."""
    seen: list[torch.Tensor] = []

    def look(_: Accelerator, parameters: list[torch.nn.Parameter], __: float) -> torch.Tensor:
        seen.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
        return torch.ones(())

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", look)
    run(batch_size=9, epochs=1)
    run(batch_size=3, accumulation=3, epochs=1)
    whole, parts = seen
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-7)


def test_the_first_step_of_a_warm_up_is_a_step(run: Run) -> None:
    _, training = run(epochs=4, batch_size=8, warmup=0.5, schedule="linear")
    assert [row.learning_rate for row in training.curve] == pytest.approx([0.0, 0.0005, 0.001, 0.001, 0.0005])


def test_a_model_that_is_broken_before_its_first_step_is_diverged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    validation_losses(monkeypatch, [math.inf])
    assert "before the first step" in (run()[1].diverged or "")


def test_training_lowers_the_validation_loss(run: Run) -> None:
    _, training = run(METHODS["full"].read({"learning_rate": 1e-2}), epochs=4)
    assert training.curve[-1].validation_loss < training.curve[0].validation_loss - 0.3


def test_the_untouched_model_is_only_validated(run: Run) -> None:
    _, training = run(METHODS["base"]())
    assert [row.epoch for row in training.curve] == [0]


def validation_losses(monkeypatch: pytest.MonkeyPatch, values: Sequence[float]) -> None:
    """Let validation come out as `values`, beginning with the untrained model's."""
    given = iter(values)
    monkeypatch.setattr(loop, "evaluate_mean_loss", lambda *_, **__: next(given))


def test_training_stops_after_patience_epochs_without_a_better_loss(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    validation_losses(monkeypatch, [5.0, 4.0, 3.0, 3.1, 3.2, 1.0])
    _, training = run(epochs=5, patience=2)
    assert (len(training.curve) - 1, training.best_epoch, training.stopped_early) == (4, 2, True)


def test_without_patience_every_epoch_is_trained(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    validation_losses(monkeypatch, [5.0, 1.0, 2.0, 3.0])
    _, training = run(epochs=3)
    assert (len(training.curve) - 1, training.stopped_early) == (3, False)


def test_the_weights_of_the_best_epoch_are_restored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    constant: dict[str, Any] = {"schedule": "constant", "warmup": 0.0}
    validation_losses(monkeypatch, [5.0, 1.0])
    best, _ = run(epochs=1, **constant)
    validation_losses(monkeypatch, [5.0, 1.0, 2.0])
    longer, _ = run(epochs=2, **constant)
    assert all(torch.equal(a, b) for a, b in zip(best.parameters(), longer.parameters(), strict=True))


def test_an_epoch_worse_than_the_untrained_model_is_still_the_methods_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation_losses(monkeypatch, [1.0, 2.0])
    assert run(epochs=1)[1].best_epoch == 1


def test_a_loss_that_is_not_finite_ends_the_training_as_diverged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    losses_that_become(monkeypatch, lambda nats_N: nats_N * math.nan)
    model, training = run()
    assert training.diverged == "the training loss was nan in step 1 of epoch 1"
    assert is_untouched(model, run)


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_gradients_that_are_not_finite_end_the_training_before_they_reach_the_weights(
    clip_norm: float | None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses_that_become(monkeypatch, lambda nats_N: nats_N + (nats_N - nats_N.detach()).sqrt())  # the same, but steep
    model, training = run(clip_norm=clip_norm)
    assert (training.diverged or "").startswith("the norm of the gradients was ")
    assert (training.diverged or "").endswith(" in step 1 of epoch 1")
    assert training.curve[1].train_loss == pytest.approx(math.log(320), abs=0.1)
    assert is_untouched(model, run)


def losses_that_become(monkeypatch: pytest.MonkeyPatch, other: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """From the first step on; the rehearsal sees them as they are."""
    original, calls = trainer.compute_token_losses, iter(range(1000))
    monkeypatch.setattr(
        trainer, "compute_token_losses", lambda *batch: other(original(*batch)) if next(calls) else original(*batch)
    )


def is_untouched(model: LanguageModel, run: Run) -> bool:
    fresh, _ = run(METHODS["base"]())
    return all(torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))


def test_a_rate_that_is_far_too_high_ends_as_diverged(run: Run) -> None:
    _, training = run(METHODS["full"].read({"learning_rate": 1e30}), epochs=3, clip_norm=None)
    assert training.diverged is not None
    assert "was nan in step 2 of epoch 1" in training.diverged


def without_targets(text: TextData, rows: set[int]) -> TextData:
    """No token of these rows of the train split is scored."""
    prompts = [
        len(tokens) if row in rows else prompt
        for row, (tokens, prompt) in enumerate(zip(text.train["tokens"], text.train["prompt_tokens"], strict=True))
    ]
    return replace(text, train=text.train.remove_columns("prompt_tokens").add_column("prompt_tokens", prompts))


def test_a_batch_without_a_target_teaches_nothing_and_is_no_error(run: Run, text: TextData) -> None:
    model, training = run(text=without_targets(text, set(range(len(text.train)))))
    assert (training.diverged, training.curve[1].train_loss, training.curve[1].target_tokens) == (None, None, 0)
    assert is_untouched(model, run)


def test_a_micro_batch_without_a_target_leaves_the_step_to_the_others(run: Run, text: TextData) -> None:
    some = without_targets(text, {0, 1, 2})
    apart, _ = run(text=some, batch_size=1, accumulation=8, epochs=1)
    together, training = run(text=some, batch_size=8, epochs=1)
    assert training.curve[1].target_tokens < text.summary.splits["train"].target_tokens
    for a, b in zip(apart.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


def test_a_diverged_training_keeps_its_curve(run: Run) -> None:
    _, training = run(METHODS["full"].read({"learning_rate": 1e30}), epochs=3, clip_norm=None)
    assert training.curve[-1].steps > 0


def test_a_validation_loss_that_is_not_finite_is_a_divergence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    validation_losses(monkeypatch, [5.0, math.nan])
    assert "validation loss" in (run()[1].diverged or "")


def test_the_curve_counts_real_and_target_tokens_of_every_epoch(run: Run, text: TextData) -> None:
    _, training = run(epochs=1)
    assert training.curve[1].real_tokens == text.summary.splits["train"].tokens
    assert training.curve[1].target_tokens == text.summary.splits["train"].target_tokens


def test_the_rate_falls_linearly_to_zero_after_the_warm_up(run: Run) -> None:
    _, training = run(epochs=2, batch_size=8, warmup=0.0)
    assert [row.learning_rate for row in training.curve] == pytest.approx([0.0, 0.001, 0.0005])


def test_every_step_is_told(run: Run) -> None:
    heard: list[Progress] = []
    run(epochs=2, on_progress=heard.append)
    assert [(p.epoch, p.done, p.of) for p in heard if p.phase == "training"] == [
        (1, 1, 2),
        (1, 2, 2),
        (2, 1, 2),
        (2, 2, 2),
    ]


def test_a_small_gradient_norm_limit_makes_another_training(run: Run) -> None:
    assert losses(run(clip_norm=1e-6, epochs=1)[1]) != losses(run(clip_norm=None, epochs=1)[1])


def test_one_seeded_training_has_the_losses_it_always_had(run: Run) -> None:
    _, training = run(METHODS["full"].read({"learning_rate": 1e-3}), epochs=2)
    assert [row.validation_loss for row in training.curve] == pytest.approx(PINNED, abs=2e-4)


PINNED = [5.7812, 5.7237, 5.6863]  # nats; torch 2.13 on a CPU, float32
