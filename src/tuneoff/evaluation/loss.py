"""The loss: nats summed over scored tokens. Dividing is left to who knows the whole sum's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tuneoff.data.batches import Batch, collate, evaluation_batches
from tuneoff.meter import Meter
from tuneoff.models.language_model import LanguageModel
from tuneoff.progress import Progress, Tell

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset


def token_losses(model: LanguageModel, batch: Batch) -> Tensor:
    """Nats of each scored token, (N,), row by row, in float32."""
    logits_NV = model(batch.tokens_BT, batch.attention_BT, batch.scored_BT)
    return cross_entropy(logits_NV.float(), batch.tokens_BT[batch.scored_BT], reduction="none")


def example_losses(model: LanguageModel, batch: Batch) -> Tensor:
    """Nats of each example, (B,), summed over its scored tokens in float64."""
    nats_N = token_losses(model, batch).double()
    rows_N = batch.scored_BT.nonzero()[:, 0]
    return nats_N.new_zeros(len(batch.rows)).index_add(0, rows_N, nats_N)


@torch.no_grad()
def losses(
    model: LanguageModel,
    split: Dataset,
    *,
    batch_size: int,
    loss_on: str,
    accelerator: Accelerator,
    meter: Meter,
    tell: Tell,
    phase: str,
) -> list[tuple[float, int]]:
    """Each example's nats and scored tokens, in the order of the split; its cost is filed under `phase`."""
    found: dict[int, tuple[float, int]] = {}
    model.eval()
    lengths = [len(tokens) for tokens in split["tokens"]]
    with meter.phase(phase), accelerator.autocast():
        for rows in evaluation_batches(lengths, batch_size):
            batch = collate(split, rows, model.tokenizer.pad_token_id, loss_on).to(accelerator.device)
            nats_B = example_losses(model, batch).tolist()
            scored_B = batch.scored_BT.sum(dim=1).tolist()
            found.update(zip(batch.rows, zip(nats_B, scored_B, strict=True), strict=True))
            tell(Progress(phase=phase, done=len(found), of=len(split)))
    return [found[row] for row in range(len(split))]


def mean_loss(model: LanguageModel, split: Dataset, **how: object) -> float:
    """Nats per scored token of the split; `how` is that of `losses`."""
    pairs = losses(model, split, **how)  # type: ignore[arg-type]  # handed through unread
    return sum(nats for nats, _ in pairs) / sum(scored for _, scored in pairs)
