"""Predictions: the texts that a model generates for each prompt of a split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import torch

from tuneoff.config.evaluation import GenerationOptions
from tuneoff.data.batches import chunk, collate_prompts, sort_by_length
from tuneoff.evaluation.labels import LabelSet
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.sampling import Sampling
from tuneoff.models.stop_strings import cut_at_stop
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress

if TYPE_CHECKING:
    from datasets import Dataset


def generate_batch(
    model: LanguageModel,
    split: Dataset,
    rows: Sequence[int],
    options: GenerationOptions,
    *,
    max_new_tokens: int,
    ends: Sequence[int] = (),
    labels: LabelSet | None = None,
) -> list[tuple[str, ...]]:
    """Return the texts generated for some rows of a split, one for each sample, in one batch on the model's device.

    Args:
        max_new_tokens: the limit if the options have none.
        ends: ids of tokens that end a text, besides the model's own end tokens.
        labels: the labels that a text must be one of; None: any text.
    """
    tokens_BT, attention_BT = collate_prompts(split, rows, model.tokenizer.pad_token_id)
    device = model.network.device
    generated_SN = generate(
        model,
        tokens_BT.to(device),
        attention_BT.to(device),
        max_new_tokens=labels.longest if labels else options.max_new_tokens or max_new_tokens,
        min_new_tokens=options.min_new_tokens,
        beams=options.beams,
        ends=ends,
        stops=options.stop,
        sampling=_get_sampling(options),
        allowed=labels.trie if labels else None,
    )
    if labels:
        texts = [labels.find_name(tokens) for tokens in generated_SN.tolist()]
    else:
        decoded = model.tokenizer.batch_decode(generated_SN, skip_special_tokens=True)
        texts = [trim(cut_at_stop(text, options.stop)) for text in decoded]
    return [tuple(texts[start : start + options.samples]) for start in range(0, len(texts), options.samples)]


def _get_sampling(options: GenerationOptions) -> Sampling | None:
    if options.temperature is None:
        return None
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        samples=options.samples,
        seed=options.seed,
    )


def trim(text: str) -> str:
    """Remove white space around a prediction. Several lines keep the indentation of the first, which code needs."""
    trimmed = re.sub(r"\A(?:[ \t]*\n)+", "", text.rstrip())
    return trimmed if "\n" in trimmed else trimmed.strip()


@torch.no_grad()
def generate_predictions(
    model: LanguageModel,
    split: Dataset,
    options: GenerationOptions,
    context: TrialContext,
    *,
    max_new_tokens: int,
    ends: Sequence[int] = (),
    labels: LabelSet | None = None,
) -> list[tuple[str, ...]]:
    """Return the texts generated for each example, one for each sample, in the order of the split.

    Prompts of similar length share a batch. When memory runs out, the batches get smaller from then on. For the
    arguments, see `generate_batch`.
    """
    micro_batch = MicroBatch(options.prompts_at_once)

    def generate_texts(rows: Sequence[int], size: int) -> list[tuple[str, ...]]:
        batches = (
            generate_batch(model, split, part, options, max_new_tokens=max_new_tokens, ends=ends, labels=labels)
            for part in chunk(rows, size)
        )
        return list(chain.from_iterable(batches))

    texts_by_row: dict[int, tuple[str, ...]] = {}
    model.eval()
    context.on_progress(Progress(phase="predictions", of=len(split)))
    with context.meter.phase("generation"), context.accelerator.autocast():
        for rows in chunk(sort_by_length(split["prompt_tokens"]), options.prompts_at_once):
            texts = micro_batch.run_until_it_fits(partial(generate_texts, rows))
            texts_by_row.update(zip(rows, texts, strict=True))
            context.on_progress(Progress(phase="predictions", done=len(texts_by_row), of=len(split)))
    return [texts_by_row[row] for row in range(len(split))]
