"""Latency: medians of repeats in which the two models alternate."""

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from datasets import Dataset

from tuneoff.evaluation import latency
from tuneoff.evaluation.latency import measure_inference
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Inference
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import ignore_progress

Load = Callable[[str], LanguageModel]


@pytest.fixture
def split() -> Dataset:
    return Dataset.from_dict({"tokens": [[5, 6, 7, 0], [9, 10, 11, 0], [3, 4, 5, 0]], "prompt_tokens": [3, 2, 1]})


def measure(served: LanguageModel, base: LanguageModel, split: Dataset) -> Inference:
    return measure_inference(
        served, base, split, split, create_context(torch.device("cpu"), "float32", ignore_progress)
    )


def test_the_times_are_medians_of_the_repeats_on_the_prompt_of_median_length(load_tiny: Load, split: Dataset) -> None:
    model = load_tiny("gpt2").eval()
    inference = measure(model, model, split)
    assert inference.prompt_tokens == 2
    assert len(inference.repeats) == latency.REPEATS
    for name in ("prefill_ms", "token_ms", "base_prefill_ms", "base_token_ms"):
        assert getattr(inference, name) == median(getattr(repeat, name) for repeat in inference.repeats)


def test_a_model_is_timed_beside_the_base_model_and_neither_is_always_first(
    load_tiny: Load, split: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, base = load_tiny("gpt2").eval(), load_tiny("gpt2").eval()
    calls: list[tuple[str, int]] = []

    def record_call(model: LanguageModel, *_: Any, max_new_tokens: int, **__: Any) -> None:
        calls.append(("served" if model is served else "base", max_new_tokens))

    monkeypatch.setattr(latency, "generate", record_call)
    measure(served, base, split)
    whole = 1 + latency.NEW_TOKENS
    forwards = [("served", 1), ("base", 1), ("served", whole), ("base", whole)]
    backwards = [("base", 1), ("served", 1), ("base", whole), ("served", whole)]
    assert calls[:8] == [*forwards, *backwards]
    assert len(calls) == 4 * (latency.REPEATS + 1)


def test_the_base_models_network_with_other_weights_is_timed_once_for_both(
    load_tiny: Load, split: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, calls = load_tiny("gpt2").eval(), []
    monkeypatch.setattr(latency, "generate", lambda *_, max_new_tokens, **__: calls.append(max_new_tokens))
    context = create_context(torch.device("cpu"), "float32", ignore_progress)
    inference = measure_inference(model, model, split, split, context, same_as_base=True)
    assert calls == [1, 1 + latency.NEW_TOKENS] * (latency.REPEATS + 1)
    assert all(r.prefill_ms == r.base_prefill_ms and r.token_ms == r.base_token_ms for r in inference.repeats)
