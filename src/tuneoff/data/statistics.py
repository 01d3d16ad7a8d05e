"""What there is to know of the text before any model reads it: how much, how much was left out, how much was cut."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tuneoff.config.base import Options
from tuneoff.data.splits import Split, SplitName

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset


class SplitSummary(Options):
    """One split in numbers."""

    examples: int
    left_out: int  # rows met while drawing that are no text
    left_out_examples: list[str]  # the first of them, with their reasons
    duplicates_removed: int  # rows of train that validation or test holds too
    source_cut_share: float  # of the examples
    target_cut_share: float
    tokens: int  # prompts, targets and their EOS; no padding
    target_tokens: int  # of these, targets and their EOS
    longest_tokens: int  # of one example
    median_tokens: float


class DataSummary(Options):
    """The splits in numbers, and a hash that is equal where the examples are equal."""

    fingerprint: str  # over texts and tokens of all splits, 16 hex digits
    splits: dict[str, SplitSummary]
    duplicates: dict[str, int]  # examples that two splits shared before train lost its own: {"train-test": 2}


def summarize(split: Split, dataset: Dataset) -> SplitSummary:
    """One split in numbers, from what was drawn and what became of it."""
    import numpy as np

    lengths = np.array(count_tokens(dataset))
    return SplitSummary(
        examples=len(dataset),
        left_out=split.left_out,
        left_out_examples=split.left_out_examples,
        duplicates_removed=split.duplicates_removed,
        source_cut_share=float(np.mean(dataset["source_cut"])),
        target_cut_share=float(np.mean(dataset["target_cut"])),
        tokens=int(lengths.sum()),
        target_tokens=int(lengths.sum() - np.sum(dataset["prompt_tokens"])),
        longest_tokens=int(lengths.max()),
        median_tokens=float(np.median(lengths)),
    )


def count_tokens(dataset: Dataset) -> list[int]:
    """The length of every example: prompt, target and EOS."""
    return [length for lengths, _ in _read_token_columns(dataset) for length in lengths.tolist()]


def compute_fingerprint(splits: Mapping[SplitName, Dataset]) -> str:
    """A hash over texts and tokens of all splits, 16 hex digits; equal where the examples and their order are."""
    whole = hashlib.sha256()
    for name in sorted(splits):
        dataset = splits[name]
        whole.update(f"{name} {len(dataset)}".encode())
        for block in dataset.select_columns(["source", "target", "prompt_tokens"]).iter(batch_size=1000):
            whole.update(json.dumps(block).encode())
        for lengths, tokens in _read_token_columns(dataset):
            whole.update(lengths.astype("<i8").tobytes())
            whole.update(tokens.astype("<i8").tobytes())
    return whole.hexdigest()[:16]


def _read_token_columns(dataset: Dataset) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """The lengths and the tokens of some examples after others, straight from the Arrow file."""
    for table in dataset.select_columns(["tokens"]).with_format("arrow").iter(batch_size=1000):
        column = table.column("tokens").combine_chunks()
        yield column.value_lengths().to_numpy(), column.flatten().to_numpy()
