"""Inference latency of a tuned model, and of the base model in the same process for comparison."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

import torch

from tuneoff.data.batches import collate_prompts
from tuneoff.evaluation.flops import count_token_flops
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Inference, Latency
from tuneoff.runtime.context import TrialContext
from tuneoff.system.accelerators import synchronize

if TYPE_CHECKING:
    from datasets import Dataset

REPEATS = 5
NEW_TOKENS = 16


def measure_inference(
    served: LanguageModel,
    base: LanguageModel,
    split: Dataset,
    base_split: Dataset,
    context: TrialContext,
    *,
    same_as_base: bool = False,
) -> Inference:
    """Measure the milliseconds for the split's prompt of median length, with batch size one and greedy decoding.

    Prefill is the time to generate one token. The time per token is that of `NEW_TOKENS` more, divided by their number.
    The two models alternate call by call, and change their order with each repeat, so that other load on the machine
    affects both. The results are medians; the first repeat is not counted.

    Args:
        base_split: the split with the prompts of the base model, which may be others.
        same_as_base: whether the two are the same network with other weights, and get the same prompts. Then one is
            timed, and its times are those of both.
    """
    prompts = [_collate_median_prompt(of_model, served, context) for of_model in (split, base_split)]
    models = (served,) if same_as_base else (served, base)
    with context.accelerator.autocast():
        repeats = [
            _time_in_turns(models, prompts, context.device, backwards=bool(repeat % 2)) for repeat in range(REPEATS + 1)
        ][1:]
        token_flops = count_token_flops(served, *prompts[0])
    return Inference(
        prompt_tokens=prompts[0][0].shape[1],
        prefill_ms=median(repeat.prefill_ms for repeat in repeats),
        token_ms=median(repeat.token_ms for repeat in repeats),
        base_prefill_ms=median(repeat.base_prefill_ms for repeat in repeats),
        base_token_ms=median(repeat.base_token_ms for repeat in repeats),
        repeats=tuple(repeats),
        same_as_base=same_as_base,
        token_flops=token_flops,
    )


def _collate_median_prompt(
    split: Dataset, model: LanguageModel, context: TrialContext
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens of the prompt of median length and its mask, each (1, T)."""
    lengths = split["prompt_tokens"]
    row = sorted(range(len(lengths)), key=lengths.__getitem__)[len(lengths) // 2]
    tokens_BT, attention_BT = collate_prompts(split, [row], model.tokenizer.pad_token_id)
    return tokens_BT.to(context.device), attention_BT.to(context.device)


def _time_in_turns(
    models: Sequence[LanguageModel],
    prompts: Sequence[tuple[torch.Tensor, torch.Tensor]],
    device: torch.device,
    *,
    backwards: bool,
) -> Latency:
    """Time the prefill of the served and of the base model, then further tokens of both; one model may be both."""
    order = range(len(models))[::-1] if backwards else range(len(models))
    base = len(models) - 1
    prefill_ms = {i: time_generation(models[i], prompts[i], device, tokens=1) for i in order}
    whole_ms = {i: time_generation(models[i], prompts[i], device, tokens=1 + NEW_TOKENS) for i in order}
    return Latency(
        prefill_ms=prefill_ms[0],
        token_ms=(whole_ms[0] - prefill_ms[0]) / NEW_TOKENS,
        base_prefill_ms=prefill_ms[base],
        base_token_ms=(whole_ms[base] - prefill_ms[base]) / NEW_TOKENS,
    )


def time_generation(
    model: LanguageModel, prompt: tuple[torch.Tensor, torch.Tensor], device: torch.device, *, tokens: int
) -> float:
    """Return the milliseconds to generate so many tokens."""
    synchronize(device)
    start = time.perf_counter()
    generate(model, *prompt, max_new_tokens=tokens, min_new_tokens=tokens)
    synchronize(device)
    return 1000 * (time.perf_counter() - start)
