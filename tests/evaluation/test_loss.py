"""Evaluation loss: summed over the split, then divided once."""

from collections.abc import Callable

import pytest
import torch
from datasets import Dataset

from tuneoff.config.evaluation import GenerationOptions
from tuneoff.data import batches
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.loss import evaluate_losses, evaluate_mean_loss
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext, create_context
from tuneoff.runtime.progress import ignore_progress

Load = Callable[[str], LanguageModel]


@pytest.fixture
def context() -> TrialContext:
    return create_context(torch.device("cpu"), "float32", ignore_progress)


@pytest.fixture
def split() -> Dataset:
    """One example with a single target token and one with seven: a mean of means would weight both equally."""
    return Dataset.from_dict({"tokens": [[5, 6, 7, 0], [9, 10, 11, 12, 13, 14, 15, 16, 0]], "prompt_tokens": [3, 2]})


def sum_losses_of_transformers(model: LanguageModel, split: Dataset) -> tuple[float, int]:
    """Return the summed nats by transformers' own loss, one example at a time, and the number of scored tokens."""
    nats, scored = 0.0, 0
    for example in split:
        tokens = torch.tensor([example["tokens"]])
        labels = tokens.clone()
        labels[:, : example["prompt_tokens"]] = -100
        count = int((labels != -100).sum())
        with torch.no_grad():
            nats += model.network(input_ids=tokens, labels=labels).loss.item() * count
        scored += count
    return nats, scored


def test_the_mean_loss_is_the_sum_of_nats_over_all_scored_tokens(
    load_tiny: Load, split: Dataset, context: TrialContext
) -> None:
    model = load_tiny("gpt2")
    nats, scored = sum_losses_of_transformers(model, split)
    assert evaluate_mean_loss(model, split, context, batch_size=2, phase="evaluation") == pytest.approx(
        nats / scored, rel=1e-5
    )


def test_the_batch_size_does_not_change_the_loss(load_tiny: Load, split: Dataset, context: TrialContext) -> None:
    model = load_tiny("llama")
    first, second = (evaluate_mean_loss(model, split, context, batch_size=size, phase="evaluation") for size in (1, 2))
    assert first == pytest.approx(second, rel=1e-5)


def test_losses_come_in_the_order_of_the_split(load_tiny: Load, split: Dataset, context: TrialContext) -> None:
    losses = evaluate_losses(load_tiny("llama"), split, context, batch_size=1, phase="evaluation")
    assert [scored for _, scored in losses] == [1, 7]


def test_when_memory_runs_out_evaluation_continues_with_smaller_batches(
    load_tiny: Load, split: Dataset, context: TrialContext
) -> None:
    model, sizes = load_tiny("llama"), []

    def fit_only_one(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    expected = evaluate_losses(model, split, context, batch_size=1, phase="evaluation")
    model.register_forward_pre_hook(fit_only_one)
    assert evaluate_losses(model, split, context, batch_size=2, phase="evaluation") == expected
    assert sizes == [2, 1, 1]


def test_when_memory_runs_out_generation_continues_with_smaller_batches(
    load_tiny: Load, split: Dataset, context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sizes = load_tiny("llama"), []
    options = GenerationOptions(batch_size=2)

    def fit_only_one(model: LanguageModel, tokens_BT: torch.Tensor, *rest: object, **named: object) -> torch.Tensor:
        sizes.append(len(tokens_BT))
        if len(tokens_BT) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(model, tokens_BT, *rest, **named)

    expected = generate_predictions(model, split, options, context, max_new_tokens=5)
    monkeypatch.setattr("tuneoff.evaluation.generation.generate", fit_only_one)
    assert generate_predictions(model, split, options, context, max_new_tokens=5) == expected
    assert sizes == [2, 1, 1]


def test_batches_that_are_divided_where_lengths_fall_change_no_loss(
    load_tiny: Load, context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[5, 6, 0], list(range(20, 60)), [9, 10, 11, 0], [12, 0]]
    split, model = Dataset.from_dict({"tokens": rows, "prompt_tokens": [1, 3, 2, 1]}), load_tiny("llama")
    seen: list[tuple[int, ...]] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    whole = evaluate_losses(model, split, context, batch_size=4, phase="evaluation")
    monkeypatch.setattr(batches, "WORTH_A_PASS", 100)
    divided = evaluate_losses(model, split, context, batch_size=4, phase="evaluation")
    assert seen == [(4, 40), (1, 40), (3, 4)]
    for (nats, count), (own_nats, own_count) in zip(divided, whole, strict=True):
        assert (nats, count) == (pytest.approx(own_nats, rel=1e-5), own_count)
