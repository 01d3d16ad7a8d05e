"""Examples as the model reads them, with what the loss scores told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tuneoff.data.example import Example
from tuneoff.data.prompt import Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tuneoff.config.data import TextOptions


@dataclass(frozen=True)
class Part:
    """A piece of an example's text."""

    text: str
    is_scored: bool


@dataclass(frozen=True, kw_only=True)
class RenderedExample:
    """One example from its tokens, special tokens included, as training sees it."""

    parts: tuple[Part, ...]
    tokens: int
    source_cut: bool
    target_cut: bool


def render_examples(
    examples: Sequence[Example], options: TextOptions, tokenizer: PreTrainedTokenizerBase
) -> tuple[RenderedExample, ...]:
    """Tokenize examples under the limits of the options, and decode them again."""
    columns = Encoder(options, tokenizer).encode(examples)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return tuple(_render(row, options, tokenizer) for row in rows)


def _render(row: dict[str, Any], options: TextOptions, tokenizer: PreTrainedTokenizerBase) -> RenderedExample:
    tokens = row["tokens"]
    scored = [True] * len(tokens) if options.loss_on == "all" else row["scored"]
    runs = groupby(zip(tokens, scored, strict=True), key=lambda pair: pair[1])
    return RenderedExample(
        parts=tuple(Part(tokenizer.decode([token for token, _ in run]), is_scored) for is_scored, run in runs),
        tokens=len(tokens),
        source_cut=row["source_cut"],
        target_cut=row["target_cut"],
    )
