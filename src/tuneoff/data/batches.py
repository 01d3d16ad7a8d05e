"""From examples to batches: which rows go together, and how they become tensors.

Rows of similar length share a batch, which is padded to its own longest: padding costs what a token costs and
teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import Tensor


class RowTensors(Protocol):
    """A tensor for each row of a split, such as the output of a frozen trunk."""

    def of(self, rows: Sequence[int]) -> Tensor:
        """The tensors of some rows, one after another, (N, D)."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some examples, padded on the right to the longest among them."""

    tokens_BT: Tensor  # int64
    attention_BT: Tensor  # bool; False where there is padding
    scored_BT: Tensor  # bool; True at a token that the loss scores, not at the position that predicts it
    rows: tuple[int, ...]  # indices into the split
    trunk_ND: Tensor | None = None  # what enters the head at the scored positions, where that is known already

    @cached_property
    def target_tokens(self) -> int:
        """How many tokens the loss scores."""
        return int(self.scored_BT.sum())

    @cached_property
    def real_tokens(self) -> int:
        """How many tokens are no padding."""
        return int(self.attention_BT.sum())

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device, already counted: counting on a GPU would wait for its queue."""
        moved = Batch(
            tokens_BT=self.tokens_BT.to(device),
            attention_BT=self.attention_BT.to(device),
            scored_BT=self.scored_BT.to(device),
            rows=self.rows,
            trunk_ND=None if self.trunk_ND is None else self.trunk_ND.to(device),
        )
        vars(moved).update(target_tokens=self.target_tokens, real_tokens=self.real_tokens)
        return moved


def make_epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The rows of each batch of one epoch: every row once, similar lengths together, the batches in random order.

    Without the second shuffle an epoch would go from long to short again and again.
    """
    import numpy as np
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    if not lengths:
        return []
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)  # mixed, so 0 + 1 is not 1 + 0
    generator = torch.Generator().manual_seed(int(state[0]))
    batches = chunk(get_length_grouped_indices(list(lengths), batch_size, generator=generator), batch_size)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def make_evaluation_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Every row once, the longest first, so that memory runs out at once or not at all."""
    return chunk(sorted(range(len(lengths)), key=lambda row: -lengths[row]), batch_size)


def collate(
    split: Dataset,
    rows: Sequence[int],
    pad_token_id: int,
    loss_on: str,
    device: torch.device | str = "cpu",
    trunk: RowTensors | None = None,
) -> Batch:
    """The tensors of some examples.

    Args:
        rows: indices into the split.
        pad_token_id: any id that the model knows; nothing attends to it and nothing scores it.
        loss_on: "target" scores the target and its EOS; "all" every token but the first, which nothing predicts.
        trunk: what the trunk made of the split, for these scored tokens.
    """
    import torch

    examples = split[list(rows)]
    shape = len(rows), max(map(len, examples["tokens"]))
    tokens_BT = torch.full(shape, pad_token_id, dtype=torch.int64)
    attention_BT, scored_BT = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    for b, (tokens, prompt_tokens) in enumerate(zip(examples["tokens"], examples["prompt_tokens"], strict=True)):
        tokens_BT[b, : len(tokens)] = torch.tensor(tokens)
        attention_BT[b, : len(tokens)] = True
        scored_BT[b, prompt_tokens if loss_on == "target" else 1 : len(tokens)] = True
    return Batch(
        tokens_BT=tokens_BT,
        attention_BT=attention_BT,
        scored_BT=scored_BT,
        rows=tuple(rows),
        trunk_ND=trunk.of(rows) if trunk else None,
    ).to(device)


def collate_prompts(split: Dataset, rows: Sequence[int], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """The prompts alone, tokens_BT and attention_BT, padded on the left so that all end where generation starts."""
    import torch

    examples = split[list(rows)]
    prompts = [t[:n] for t, n in zip(examples["tokens"], examples["prompt_tokens"], strict=True)]
    shape = len(rows), max(map(len, prompts))
    tokens_BT = torch.full(shape, pad_token_id, dtype=torch.int64)
    attention_BT = torch.zeros(shape, dtype=torch.bool)
    for b, prompt in enumerate(prompts):
        tokens_BT[b, -len(prompt) :] = torch.tensor(prompt)
        attention_BT[b, -len(prompt) :] = True
    return tokens_BT, attention_BT


def chunk(rows: Sequence[int], size: int) -> list[list[int]]:
    """The rows in their order, so many at a time."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]
