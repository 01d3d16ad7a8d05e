"""The loss: nats summed over scored tokens. Dividing is left to who knows the whole sum's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from tuneoff.data import count_tokens
from tuneoff.data.batches import Batch, chunk, collate, make_evaluation_batches
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress

if TYPE_CHECKING:
    from datasets import Dataset

    from tuneoff.models.frozen_prefix import TrunkOutputs


def compute_token_losses(model: LanguageModel, batch: Batch) -> Tensor:
    """Nats of each scored token, (N,), row by row, in float32."""
    return cast(Tensor, model(batch.tokens_BT, batch.attention_BT, batch.scored_BT, batch.trunk_ND))


def compute_example_losses(model: LanguageModel, batch: Batch) -> Tensor:
    """Nats of each example, (B,), summed over its scored tokens in float64."""
    nats_N = compute_token_losses(model, batch).double()
    rows_N = batch.scored_BT.nonzero()[:, 0]
    return nats_N.new_zeros(len(batch.rows)).index_add(0, rows_N, nats_N)


@torch.no_grad()
def evaluate_losses(
    model: LanguageModel,
    split: Dataset,
    context: TrialContext,
    *,
    batch_size: int,
    phase: str,
    trunk: TrunkOutputs | None = None,
) -> list[tuple[float, int]]:
    """Each example's nats and target tokens, in the order of the split; its cost is filed under `phase`.

    Targets alone are scored, also where a training scored its prompts: what is compared is the answer. Where memory
    runs out, fewer examples go through the model at once from then on.
    """
    by_row: dict[int, tuple[float, int]] = {}
    micro_batch = MicroBatch(batch_size)

    def pairs(rows: Sequence[int], size: int) -> list[tuple[float, int]]:
        found: list[tuple[float, int]] = []
        for part in chunk(rows, size):
            batch = collate(split, part, model.tokenizer.pad_token_id, "target", context.device, trunk)
            found += zip(
                compute_example_losses(model, batch).tolist(), batch.scored_BT.sum(dim=1).tolist(), strict=True
            )
        return found

    model.eval()
    with context.meter.phase(phase), context.accelerator.autocast():
        for rows in make_evaluation_batches(count_tokens(split), batch_size):
            of_rows = micro_batch.fitting(partial(pairs, rows))
            by_row.update(zip(rows, of_rows, strict=True))
            context.on_progress(Progress(phase=phase, done=len(by_row), of=len(split)))
    return [by_row[row] for row in range(len(split))]


def evaluate_mean_loss(
    model: LanguageModel,
    split: Dataset,
    context: TrialContext,
    *,
    batch_size: int,
    phase: str,
    trunk: TrunkOutputs | None = None,
) -> float:
    """Nats per target token of the split: one sum, divided once."""
    pairs = evaluate_losses(model, split, context, batch_size=batch_size, phase=phase, trunk=trunk)
    return sum(nats for nats, _ in pairs) / sum(scored for _, scored in pairs)
