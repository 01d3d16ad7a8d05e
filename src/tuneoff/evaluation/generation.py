"""Predictions: the text a model generates for each prompt of a split."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import torch

from tuneoff.config.evaluation import GenerationOptions
from tuneoff.data.batches import chunk, collate_prompts, make_evaluation_batches
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress

if TYPE_CHECKING:
    from datasets import Dataset


def generate_batch(
    model: LanguageModel, split: Dataset, rows: Sequence[int], options: GenerationOptions, *, max_new_tokens: int
) -> list[str]:
    """Return the text generated for some rows of a split, in one batch on the model's device."""
    tokens_BT, attention_BT = collate_prompts(split, rows, model.tokenizer.pad_token_id)
    device = model.network.device
    generated_BT = generate(
        model,
        tokens_BT.to(device),
        attention_BT.to(device),
        max_new_tokens=options.max_new_tokens or max_new_tokens,
        min_new_tokens=options.min_new_tokens,
        beams=options.beams,
    )
    return [text.strip() for text in model.tokenizer.batch_decode(generated_BT, skip_special_tokens=True)]


@torch.no_grad()
def generate_predictions(
    model: LanguageModel, split: Dataset, options: GenerationOptions, context: TrialContext, *, max_new_tokens: int
) -> list[str]:
    """Return the text generated for each example, in the order of the split.

    Prompts of similar length share a batch. When memory runs out, the batches get smaller from then on.
    """
    micro_batch = MicroBatch(options.batch_size)

    def generate_texts(rows: Sequence[int], size: int) -> list[str]:
        batches = (
            generate_batch(model, split, part, options, max_new_tokens=max_new_tokens) for part in chunk(rows, size)
        )
        return list(chain.from_iterable(batches))

    text_by_row: dict[int, str] = {}
    model.eval()
    with context.meter.phase("generation"), context.accelerator.autocast():
        for rows in make_evaluation_batches(split["prompt_tokens"], options.batch_size):
            texts = micro_batch.run_until_it_fits(partial(generate_texts, rows))
            text_by_row.update(zip(rows, texts, strict=True))
            context.on_progress(Progress(phase="predictions", done=len(text_by_row), of=len(split)))
    return [text_by_row[row] for row in range(len(split))]
