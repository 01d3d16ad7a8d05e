"""The text of an answer, handed out as soon as it is certain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

INCOMPLETE = "\ufffd"  # what a decoder shows for the first bytes of a character


class TextStream:
    """Decodes tokens one by one.

    All that it hands out is the text of the tokens up to the first stop string. Text is held back while its last
    character is incomplete or while it ends as a stop string begins.

    Args:
        tokenizer: of the model; special tokens have no text.
        stops: strings that end the text.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._tokens: list[int] = []
        self._context, self._read = 0, 0  # where decoding starts, and up to which token the text is complete
        self._text = ""  # of the complete characters
        self._sent = 0

    def push(self, token: int) -> tuple[str, bool]:
        """Return the text that is certain with this token, and whether a stop string ends it."""
        self._tokens.append(token)
        new = self._decode_new()
        text = self._text + new
        if not new.endswith(INCOMPLETE):
            self._text, self._context, self._read = text, self._read, len(self._tokens)
        found = [place for stop in self._stops if (place := text.find(stop, self._get_search_start(stop))) >= 0]
        if found:
            return self._send(text[: min(found)]), True
        return self._send(self._text[: len(self._text) - self._count_held()]), False

    def finish(self) -> str:
        """Return the rest of the text, when no token follows."""
        return self._send(self._text + self._decode_new())

    def _decode_new(self) -> str:
        """Return what the tokens after the complete text add to it; some before them decide about spaces."""
        before = self._decode(self._tokens[self._context : self._read])
        return self._decode(self._tokens[self._context :])[len(before) :]

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def _get_search_start(self, stop: str) -> int:
        """Return where a stop string that was not found before may begin."""
        return max(0, self._sent - len(stop))

    def _count_held(self) -> int:
        """Return how many characters at the end may begin a stop string."""
        lengths = (
            length
            for stop in self._stops
            for length in range(min(len(stop) - 1, len(self._text)), 0, -1)
            if self._text.endswith(stop[:length])
        )
        return max(lengths, default=0)

    def _send(self, text: str) -> str:
        sent, self._sent = self._sent, max(self._sent, len(text))
        return text[sent:]
