"""The loss in nats, summed over scored tokens. Callers divide once, when the sum is complete."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from tuneoff.data import count_tokens
from tuneoff.data.batches import Batch, chunk, collate, make_evaluation_batches
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import to_float64
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress

if TYPE_CHECKING:
    from datasets import Dataset

    from tuneoff.models.frozen_prefix import TrunkOutputs


def compute_token_losses(model: LanguageModel, batch: Batch) -> Tensor:
    """Return the nats of each scored token, (N,), row by row, in float32."""
    return cast(Tensor, model(batch.tokens_BT, batch.attention_BT, batch.scored_BT, batch.trunk_ND))


def compute_example_losses(model: LanguageModel, batch: Batch) -> Tensor:
    """Return the nats of each example, (B,), summed over its scored tokens in float64."""
    nats_N = to_float64(compute_token_losses(model, batch))
    rows_N = batch.scored_BT.nonzero()[:, 0].to(nats_N.device)
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
    """Return each example's summed nats and number of target tokens, in the order of the split.

    Only targets are scored, even if the training scored prompts too, because methods are compared by their answers.
    When memory runs out, the batches get smaller from then on.

    Args:
        phase: the meter's phase for the cost.
        trunk: the precomputed outputs of the frozen part for the split.
    """
    losses_by_row: dict[int, tuple[float, int]] = {}
    micro_batch = MicroBatch(batch_size)

    def evaluate(rows: Sequence[int], size: int) -> list[tuple[float, int]]:
        losses: list[tuple[float, int]] = []
        for part in chunk(rows, size):
            batch = collate(split, part, model.tokenizer.pad_token_id, "target", context.device, trunk)
            losses += zip(
                compute_example_losses(model, batch).tolist(), batch.scored_BT.sum(dim=1).tolist(), strict=True
            )
        return losses

    model.eval()
    context.on_progress(Progress(phase=phase, of=len(split)))
    with context.meter.phase(phase), context.accelerator.autocast():
        for rows in make_evaluation_batches(count_tokens(split), batch_size):
            losses = micro_batch.run_until_it_fits(partial(evaluate, rows))
            losses_by_row.update(zip(rows, losses, strict=True))
            context.on_progress(Progress(phase=phase, done=len(losses_by_row), of=len(split)))
    return [losses_by_row[row] for row in range(len(split))]


def evaluate_mean_loss(
    model: LanguageModel,
    split: Dataset,
    context: TrialContext,
    *,
    batch_size: int,
    phase: str,
    trunk: TrunkOutputs | None = None,
) -> float:
    """Return the nats per target token of the split: one sum, divided once. See `evaluate_losses`."""
    losses = evaluate_losses(model, split, context, batch_size=batch_size, phase=phase, trunk=trunk)
    return sum(nats for nats, _ in losses) / sum(tokens for _, tokens in losses)
