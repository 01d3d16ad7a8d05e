"""Texts without prompts, for language modeling: long ones are cut into pieces that a model can read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tuneoff.data.example import Example
from tuneoff.data.prompt.text_tokenizer import TextTokenizer

CHARACTERS_PER_TOKEN = 8  # more than most texts have, so that a window is seldom too short
PIECE = "piece"  # the column that numbers the pieces of a text, such as "2/3"


def cut_documents(examples: Sequence[Example], tokenizer: TextTokenizer, max_tokens: int) -> list[Example]:
    """Cut the texts into pieces that have at most `max_tokens` tokens with BOS and EOS.

    The pieces of a text are a group, because they are not independent of each other. If no text is cut, every text is
    on its own.
    """
    limit = max(1, max_tokens - len(tokenizer.beginning) - 1)
    pieces = [list(_cut(example.target, tokenizer, limit)) for example in examples]
    if all(len(of_text) == 1 for of_text in pieces):
        return list(examples)
    return [
        replace(
            example,
            target=piece,
            references=(),
            columns={**example.columns, PIECE: f"{number}/{len(of_text)}"},
            group=example.group or hashlib.sha256(example.target.encode()).hexdigest()[:16],
        )
        for example, of_text in zip(examples, pieces, strict=True)
        for number, piece in enumerate(of_text, 1)
    ]


def encode_document(example: Example, tokenizer: TextTokenizer, end: int) -> list[int]:
    """Tokenize a text or a piece of it. EOS ends a text, but not a piece that others follow."""
    (row,) = tokenizer.encode([tokenizer.special.protect(example.target)])
    number, _, pieces = str(example.columns.get(PIECE, "1/1")).partition("/")
    return [*row, end] if number == pieces else row


def _cut(text: str, tokenizer: TextTokenizer, limit: int) -> Iterator[str]:
    """Yield pieces of a text. At the beginning of a piece the tokens can differ, so each piece is measured."""
    start = 0
    while start < len(text):
        ends = _find_first_ends(text, start, tokenizer, limit + 1)
        kept = min(limit, len(ends))
        while kept > 1 and len(tokenizer.find_token_ends(text[start : start + ends[kept - 1]])) > limit:
            kept -= 1
        is_rest = kept == len(ends)
        stop = len(text) if is_rest else start + max(1, ends[kept - 1])
        yield text[start:stop]
        start = stop


def _find_first_ends(text: str, start: int, tokenizer: TextTokenizer, tokens: int) -> list[int]:
    """Return where the tokens from `start` on end, so many of them or all, without tokenizing much more than these."""
    characters = CHARACTERS_PER_TOKEN * tokens
    while True:
        window = text[start : start + characters]
        ends = tokenizer.find_token_ends(window)
        if len(ends) > tokens or start + characters >= len(text):
            return ends
        characters *= 2
