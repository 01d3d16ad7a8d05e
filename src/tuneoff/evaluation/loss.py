"""The loss in nats, summed over scored tokens. Callers divide once, when the sum is complete."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from tuneoff.data import count_tokens
from tuneoff.data.batches import Batch, collate, fill_up, make_evaluation_batches, pack_batches, share_out
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import to_float64
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.followers import Followers
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
    followers: Followers | None = None,
) -> list[tuple[float, int]]:
    """Return each example's summed nats and number of target tokens, in the order of the split.

    Only targets are scored, even if the training scored prompts too, because methods are compared by their answers.
    When memory runs out, the batches get smaller from then on.

    Args:
        phase: the meter's phase for the cost.
        trunk: the precomputed outputs of the frozen part for the split.
        followers: which have the model too, so that each device evaluates its share.
    """
    lengths = count_tokens(split)
    losses_by_row: dict[int, tuple[float, int]] = {}
    micro_batch, others = MicroBatch(batch_size), followers or Followers()

    def make_batch(rows: Sequence[int], device: torch.device | str) -> Batch:
        return collate(split, rows, model.tokenizer.pad_token_id, "target", device, trunk)

    def evaluate(rows: Sequence[int], size: int) -> dict[int, tuple[float, int]]:
        own, *shares = share_out(rows, lengths, size, others.devices)
        sent = [[make_batch(part, "cpu") for part in parts] for parts in shares]
        if others.in_step:
            sent = [fill_up(batches, len(own), make_batch(rows[:1], "cpu")) for batches in sent]
        losses: dict[int, tuple[float, int]] = {}
        with others.passing("losses", shares=[pack_batches(batches) for batches in sent]) as receive:
            for part in own:
                batch = make_batch(part, context.device)
                losses |= _pair(batch, compute_example_losses(model, batch).tolist())
            answers = receive()
        for batches, answer in zip(sent, answers, strict=True):
            nats = iter(answer["nats"])
            for batch in batches:
                losses |= _pair(batch, list(islice(nats, len(batch.rows))))
        return losses

    model.eval()
    context.on_progress(Progress(phase=phase, of=len(split)))
    with context.meter.phase(phase), context.accelerator.autocast():
        for rows in make_evaluation_batches(lengths, batch_size * others.devices):
            losses_by_row |= micro_batch.run_until_it_fits(partial(evaluate, rows))
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
    followers: Followers | None = None,
) -> float:
    """Return the nats per target token of the split: one sum, divided once. See `evaluate_losses`."""
    losses = evaluate_losses(
        model, split, context, batch_size=batch_size, phase=phase, trunk=trunk, followers=followers
    )
    return sum(nats for nats, _ in losses) / sum(tokens for _, tokens in losses)


def _pair(batch: Batch, nats: Sequence[float]) -> dict[int, tuple[float, int]]:
    """Return the nats and the target tokens of each row of a batch."""
    tokens = batch.scored_BT.sum(dim=1).tolist()[: len(batch.rows)]  # one that only fills up has a row without a number
    return dict(zip(batch.rows, zip(nats, tokens, strict=True), strict=True))
