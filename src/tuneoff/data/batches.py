"""Batches: which rows go together, and how they become tensors.

Rows of similar length share a batch, and a batch is padded to its longest row: padding costs as much as tokens and
teaches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import Tensor

TENSORS = ("tokens_BT", "attention_BT", "scored_BT", "trunk_ND")  # of a batch; it may lack the last


WORTH_A_PASS = 1024  # positions of padding that one more forward pass must save


class RowTensors(Protocol):
    """A tensor for each row of a split, such as the output of a frozen trunk."""

    def get_rows(self, rows: Sequence[int]) -> Tensor:
        """Return the tensors of some rows, concatenated, shape (N, D)."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples as tensors, padded on the right to the longest of them."""

    tokens_BT: Tensor  # int64
    attention_BT: Tensor  # bool; False at padding
    scored_BT: Tensor  # bool; True at each token that the loss scores, not at the position before it
    rows: tuple[int, ...]  # indices into the split
    trunk_ND: Tensor | None = None  # input of the head at the scored positions, if it was computed before

    @cached_property
    def target_tokens(self) -> int:
        """Number of tokens that the loss scores."""
        return int(self.scored_BT.sum())

    @cached_property
    def real_tokens(self) -> int:
        """Number of tokens without padding."""
        return int(self.attention_BT.sum())

    def to(self, device: torch.device | str) -> Batch:
        """Copy the batch to a device, with its counts: counting on a GPU would wait for all queued kernels."""
        moved = Batch(
            tokens_BT=self.tokens_BT.to(device),
            attention_BT=self.attention_BT.to(device),
            scored_BT=self.scored_BT.to(device),
            rows=self.rows,
            trunk_ND=None if self.trunk_ND is None else self.trunk_ND.to(device),
        )
        vars(moved).update(target_tokens=self.target_tokens, real_tokens=self.real_tokens)
        return moved

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name, and the rows as one, for another process."""
        import torch

        named = {name: getattr(self, name) for name in TENSORS if getattr(self, name) is not None}
        return {**named, "rows": torch.tensor(self.rows)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Batch:
        """Return the batch that `to_tensors` was called on."""
        named = {name: tensors.get(name) for name in TENSORS}
        return cls(rows=tuple(tensors["rows"].tolist()), **named)  # type: ignore[arg-type]  # one of them may be None


def make_epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Divide the rows into the batches of an epoch: similar lengths together, the batches in random order.

    Without the shuffle of the batches, lengths would go from long to short several times per epoch.
    """
    import numpy as np
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    if not lengths:
        return []
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)  # (0, 1) and (1, 0) differ
    generator = torch.Generator().manual_seed(int(state[0]))
    batches = chunk(get_length_grouped_indices(list(lengths), batch_size, generator=generator), batch_size)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def make_evaluation_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Divide the rows into batches, the longest first: if memory runs out, it does so in the first batch."""
    return divide_rows(sort_by_length(lengths), lengths, batch_size)


def sort_by_length(lengths: Sequence[int]) -> list[int]:
    """Return the rows, the longest first."""
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])


def divide_rows(rows: Sequence[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    """Divide rows into parts of `size`, and a part further where that saves much padding.

    So a row that is several times as long as the others does not make them as long as itself.
    """
    return [part for whole in chunk(rows, size) for part in _split_where_lengths_fall(whole, lengths)]


def share_out(rows: Sequence[int], lengths: Sequence[int], size: int, devices: int) -> list[list[list[int]]]:
    """Return the micro-batches of each device, of at most `size` rows.

    They are divided where lengths fall on one device only: several that work in step need the same number of passes.
    """
    if devices == 1:
        return [divide_rows(rows, lengths, size)]
    return [chunk(share, size) for share in deal(rows, devices)]


def _split_where_lengths_fall(rows: list[int], lengths: Sequence[int]) -> list[list[int]]:
    falling = sorted(rows, key=lambda row: -lengths[row])
    longest = lengths[falling[0]]
    saved = [(len(falling) - start) * (longest - lengths[row]) for start, row in enumerate(falling)]
    start = max(range(len(falling)), key=saved.__getitem__)
    if saved[start] < WORTH_A_PASS:
        return [rows]
    return [part for half in (falling[:start], falling[start:]) for part in _split_where_lengths_fall(half, lengths)]


def collate(
    split: Dataset,
    rows: Sequence[int],
    pad_token_id: int,
    loss_on: str,
    device: torch.device | str = "cpu",
    trunk: RowTensors | None = None,
) -> Batch:
    """Make a batch of some examples.

    Args:
        rows: indices into the split.
        pad_token_id: any id in the vocabulary; it is neither attended to nor scored.
        loss_on: "target" scores the answers and the tokens that end them, as the column scored marks them, or all that
            follows the prompt without that column; "all" every token except the first, which has no prediction.
        trunk: the outputs of the trunk at the scored tokens of the split, if they were computed before.
    """
    import torch

    examples = split[list(rows)]
    shape = len(rows), max(map(len, examples["tokens"]))
    tokens_BT = torch.full(shape, pad_token_id, dtype=torch.int64)
    attention_BT, scored_BT = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    for b, tokens in enumerate(examples["tokens"]):
        tokens_BT[b, : len(tokens)] = torch.tensor(tokens)
        attention_BT[b, : len(tokens)] = True
        if loss_on == "target" and "scored" in examples:
            scored_BT[b, : len(tokens)] = torch.tensor(examples["scored"][b])
        else:
            scored_BT[b, examples["prompt_tokens"][b] if loss_on == "target" else 1 : len(tokens)] = True
    return Batch(
        tokens_BT=tokens_BT,
        attention_BT=attention_BT,
        scored_BT=scored_BT,
        rows=tuple(rows),
        trunk_ND=trunk.get_rows(rows) if trunk else None,
    ).to(device)


def collate_prompts(split: Dataset, rows: Sequence[int], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Return tokens_BT and attention_BT of the prompts alone, padded on the left so that all end together."""
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
    """Divide rows into lists of `size`, in order; the last may be shorter."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def deal(rows: Sequence[int], devices: int) -> list[list[int]]:
    """Give each device its share of some rows. Neighbours, which have similar lengths, go to different devices."""
    return [list(rows[device::devices]) for device in range(devices)]


def fill_up(batches: Sequence[Batch], number: int, example: Batch) -> list[Batch]:
    """Return so many batches, by adding some without a row that counts, for a device that has fewer than others.

    Args:
        example: any batch; the added ones have the tokens of its first row, and score none.
    """
    import torch

    empty = Batch(
        tokens_BT=example.tokens_BT[:1].clone(),
        attention_BT=example.attention_BT[:1].clone(),
        scored_BT=torch.zeros_like(example.scored_BT[:1]),
        rows=(),
    )
    return [*batches, *([empty] * (number - len(batches)))]


def pack_batches(batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Return batches as named tensors, for another process."""
    return {f"{i}/{name}": tensor for i, batch in enumerate(batches) for name, tensor in batch.to_tensors().items()}


def unpack_batches(tensors: Mapping[str, Tensor]) -> list[Batch]:
    """Return the batches that `pack_batches` was called with."""
    parts: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        i, _, name = path.partition("/")
        parts.setdefault(int(i), {})[name] = tensor
    return [Batch.from_tensors(parts[i]) for i in range(len(parts))]
