"""From a rendered text to tokens: exactly one BOS, and no special token that only a user's text spells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuneoff.data.prompt.special_text import SpecialText

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANCHOR = "\n"  # stands before a text that is no beginning, so that no space is put before its first word


class TextTokenizer:
    """A tokenizer for rendered texts, in which `special` has protected what a user wrote."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.special = SpecialText(tokenizer)
        self.beginning = _find_beginning(tokenizer)
        self.splits_words = _splits_words(tokenizer)
        self._anchor = self._encode_plain(_ANCHOR)
        self._is_new_after_special = self._starts_anew_after_special()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize texts, each with the tokens that the tokenizer puts before every text."""
        plain = [text for text in texts if not self.special.is_protected(text)]
        encoded = iter(self._encode_batch(plain) if plain else [])
        rows = [self._encode_parts(text) if self.special.is_protected(text) else next(encoded) for text in texts]
        start = self.beginning
        return [row if tuple(row[: len(start)]) == start else [*start, *row] for row in rows]

    def encode_within(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize texts that begin with a space, as they are tokenized within other texts, if it splits words."""
        return self._encode_batch(texts)

    def encode_continuation(self, text: str) -> list[int]:
        """Tokenize a text as it is tokenized within another one, with nothing before it."""
        restored = self.special.restore(text)
        after_anchor = self._encode_plain(_ANCHOR + restored)
        length = len(self._anchor)
        return after_anchor[length:] if after_anchor[:length] == self._anchor else self._encode_plain(restored)

    def writes_beginning(self, text: str) -> bool:
        """Return whether a rendered text has the tokens itself that the tokenizer puts before every text."""
        return tuple(self._encode_parts(text)[: len(self.beginning)]) == self.beginning

    def find_token_ends(self, text: str) -> list[int]:
        """Return the character at which each token of a text ends."""
        offsets = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        return [end for _, end in offsets]

    def _encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        rows: list[list[int]] = self.tokenizer(
            list(texts), add_special_tokens=False, split_special_tokens=False, verbose=False
        )["input_ids"]
        return rows

    def _encode_plain(self, text: str) -> list[int]:
        row: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)[
            "input_ids"
        ]
        return row

    def _encode_parts(self, text: str) -> list[int]:
        """Tokenize a text part by part: between its special tokens everything is text."""
        first, *rest = self.special.split(text)
        row = self._encode_plain(self.special.restore(first)) if first else []
        for token, part in zip(rest[::2], rest[1::2], strict=True):
            row.append(self.tokenizer.convert_tokens_to_ids(token))
            if part and self._is_new_after_special:
                row += self._encode_plain(self.special.restore(part))
            elif part:
                row += self.encode_continuation(part)
        return row

    def _starts_anew_after_special(self) -> bool:
        """Return whether a text after a special token is tokenized like a text of its own."""
        special = next(iter(self.special.by_text), None)
        return special is None or self._encode_batch([special + "a"])[0][1:] == self._encode_plain("a")


def _splits_words(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer splits a text at spaces before it looks for tokens, which no token then crosses."""
    splitter = tokenizer.backend_tokenizer.pre_tokenizer
    parts = splitter.pre_tokenize_str("a b c d") if splitter else []
    return len(parts) == 4


def _find_beginning(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the tokens that a tokenizer puts before each text, such as BOS."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a", add_special_tokens=True)["input_ids"]
    starts = [k for k in range(len(framed)) if framed[k : k + len(plain)] == plain]
    return tuple(framed[: starts[0]]) if starts else ()
