"""Predictions: what a model writes after each prompt of a split."""

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
    """The text generated for each example, in the order of the split, generated in batches of similar length.

    Where memory runs out, fewer prompts are answered at once from then on.
    """
    pad = model.tokenizer.pad_token_id
    micro_batch = MicroBatch(options.batch_size)

    def texts(rows: Sequence[int], size: int) -> list[str]:
        found = []
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
            found += model.tokenizer.batch_decode(generated_BT, skip_special_tokens=True)
        return found

    written: dict[int, str] = {}
    model.eval()
    with context.meter.phase("generation"), context.accelerator.autocast():
        for rows in make_evaluation_batches(split["prompt_tokens"], options.batch_size):
            of_rows = micro_batch.fitting(partial(texts, rows))
            written.update(zip(rows, (text.strip() for text in of_rows), strict=True))
            context.on_progress(Progress(phase="predictions", done=len(written), of=len(split)))
    return [written[row] for row in range(len(split))]
