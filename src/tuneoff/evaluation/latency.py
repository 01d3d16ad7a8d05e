"""What inference costs: one prompt through a model, against the untouched model in the same process."""

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
    """Milliseconds of the split's prompt of median length, batch size one, greedy.

    Prefill is a generation of one token; a token costs what `NEW_TOKENS` more take, divided by their number. The
    two models take turns, so that whatever else the machine does falls on both, and medians are kept. A first turn
    is not counted.
    """
    lengths = split["prompt_tokens"]
    row = sorted(range(len(lengths)), key=lengths.__getitem__)[len(lengths) // 2]
    tokens_BT, attention_BT = collate_prompts(split, [row], served.tokenizer.pad_token_id)
    prompt = tokens_BT.to(context.device), attention_BT.to(context.device)
    turns = [[_time_prompt(model, *prompt, context) for model in (served, base)] for _ in range(REPEATS + 1)][1:]
    return Inference(
        prompt_tokens=lengths[row],
        prefill_ms=median(turn[0][0] for turn in turns),
        token_ms=median(turn[0][1] for turn in turns),
        base_prefill_ms=median(turn[1][0] for turn in turns),
        base_token_ms=median(turn[1][1] for turn in turns),
    )


def _time_prompt(
    model: LanguageModel, tokens_BT: torch.Tensor, attention_BT: torch.Tensor, context: TrialContext
) -> tuple[float, float]:
    def generate_ms(tokens: int) -> float:
        synchronize(context.device)
        start = time.perf_counter()
        generate(model, tokens_BT, attention_BT, max_new_tokens=tokens, min_new_tokens=tokens)
        synchronize(context.device)
        return 1000 * (time.perf_counter() - start)

    with context.accelerator.autocast():
        prefill = generate_ms(1)
        return prefill, (generate_ms(1 + NEW_TOKENS) - prefill) / NEW_TOKENS
