"""Predictions: the text a model generates for each prompt of a split."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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


@torch.no_grad()
def generate_predictions(
    model: LanguageModel, split: Dataset, options: GenerationOptions, context: TrialContext, *, max_new_tokens: int
) -> list[str]:
    """Return the text generated for each example, in the order of the split.

    Prompts of similar length share a batch. When memory runs out, the batches get smaller from then on.
    """
    pad = model.tokenizer.pad_token_id
    micro_batch = MicroBatch(options.batch_size)

    def generate_texts(rows: Sequence[int], size: int) -> list[str]:
        texts: list[str] = []
        for part in chunk(rows, size):
            tokens_BT, attention_BT = collate_prompts(split, part, pad)
            generated_BT = generate(
                model,
                tokens_BT.to(context.device),
                attention_BT.to(context.device),
                max_new_tokens=options.max_new_tokens or max_new_tokens,
                min_new_tokens=options.min_new_tokens,
                beams=options.beams,
            )
            texts += model.tokenizer.batch_decode(generated_BT, skip_special_tokens=True)
        return texts

    text_by_row: dict[int, str] = {}
    model.eval()
    with context.meter.phase("generation"), context.accelerator.autocast():
        for rows in make_evaluation_batches(split["prompt_tokens"], options.batch_size):
            texts = micro_batch.run_until_it_fits(partial(generate_texts, rows))
            text_by_row.update(zip(rows, (text.strip() for text in texts), strict=True))
            context.on_progress(Progress(phase="predictions", done=len(text_by_row), of=len(split)))
    return [text_by_row[row] for row in range(len(split))]
