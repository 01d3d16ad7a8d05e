"""Strings that end a generated text. The text is what stands before the first of them.

A stop string may span tokens and may begin or end within one, so the text decides and not the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tuneoff.models.decoding import IsStopped

SPARE_TOKENS = 8  # decoded before the longest stop string, since the first tokens of a text may be decoded differently


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Return the text before the first stop string; all of it if it has none."""
    found = [position for stop in stops if (position := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


def find_special_tokens(tokenizer: Any, stops: Sequence[str]) -> list[int]:
    """Return the ids of the stop strings that are special tokens, which the text of a generation leaves out."""
    ids = {tokenizer.decode([token]): token for token in tokenizer.all_special_ids}
    return [ids[stop] for stop in stops if stop in ids]


def build_stop_check(tokenizer: Any, stops: Sequence[str]) -> IsStopped:
    """Return a function that says of each row whether its text has one of the stop strings.

    A few tokens at the end are decoded first; every token is at least one byte. The complete text decides.
    """
    window = max(len(stop.encode()) for stop in stops) + SPARE_TOKENS

    def is_stopped(tokens_RN: Tensor) -> Tensor:
        rows = tokens_RN.tolist()
        ends = tokenizer.batch_decode([row[-window:] for row in rows], skip_special_tokens=True)
        stopped = [
            _has_stop(end, stops) and _has_stop(tokenizer.decode(row, skip_special_tokens=True), stops)
            for row, end in zip(rows, ends, strict=True)
        ]
        return torch.tensor(stopped, dtype=torch.bool, device=tokens_RN.device)

    return is_stopped


def _has_stop(text: str, stops: Sequence[str]) -> bool:
    return any(stop in text for stop in stops)
