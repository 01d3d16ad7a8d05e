"""Inference latency of a tuned model, and of the base model in the same process for comparison."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import torch

from tuneoff.data.batches import collate_prompts
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Inference
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.meter import synchronize

if TYPE_CHECKING:
    from datasets import Dataset

REPEATS = 5
NEW_TOKENS = 16


def measure_inference(served: LanguageModel, base: LanguageModel, split: Dataset, context: TrialContext) -> Inference:
    """Measure the milliseconds for the split's prompt of median length, with batch size one and greedy decoding.

    Prefill is the time to generate one token. The time per token is that of `NEW_TOKENS` more, divided by their number.
    The two models alternate, so that other load on the machine affects both. The results are medians; the first
    repetition is not counted.
    """
    lengths = split["prompt_tokens"]
    row = sorted(range(len(lengths)), key=lengths.__getitem__)[len(lengths) // 2]
    tokens_BT, attention_BT = collate_prompts(split, [row], served.tokenizer.pad_token_id)
    prompt = tokens_BT.to(context.device), attention_BT.to(context.device)
    repeats = [[_time_prompt(model, *prompt, context) for model in (served, base)] for _ in range(REPEATS + 1)][1:]
    return Inference(
        prompt_tokens=lengths[row],
        prefill_ms=median(repeat[0][0] for repeat in repeats),
        token_ms=median(repeat[0][1] for repeat in repeats),
        base_prefill_ms=median(repeat[1][0] for repeat in repeats),
        base_token_ms=median(repeat[1][1] for repeat in repeats),
    )


def _time_prompt(
    model: LanguageModel, tokens_BT: torch.Tensor, attention_BT: torch.Tensor, context: TrialContext
) -> tuple[float, float]:
    """Return the milliseconds of prefill and of each further token."""

    def generate_ms(tokens: int) -> float:
        synchronize(context.device)
        start = time.perf_counter()
        generate(model, tokens_BT, attention_BT, max_new_tokens=tokens, min_new_tokens=tokens)
        synchronize(context.device)
        return 1000 * (time.perf_counter() - start)

    with context.accelerator.autocast():
        prefill = generate_ms(1)
        return prefill, (generate_ms(1 + NEW_TOKENS) - prefill) / NEW_TOKENS
