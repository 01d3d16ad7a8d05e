"""Reading JSON values one after another from a text, so that a large file is never in memory as a whole.

`json.load` reads the whole file, and stops after the first value. Here each value comes with the number of its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from tuneoff.errors import DataError

BLOCK_CHARACTERS = 2**20
MAX_CHARACTERS = 2**30  # of one value
_SPACE = " \t\r\n"
_BROKEN_AT_END = 12  # characters: a value that is cut, as in "\ud83d\udc" or "fals", is reported at most so far back


def reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; `json` would silently keep the last of two equal keys."""
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return row


def explain_json(place: str, problem: str) -> DataError:
    """Return an error for text that is not JSON."""
    return DataError(f"{place}: not valid JSON ({problem}). Correct or remove it.")


def iterate_json_lines(file: TextIO, place: str) -> Iterator[tuple[int, Any]]:  # Any: whatever JSON may hold
    """Yield the line number and the value of each line that is not blank.

    Raises:
        DataError: a line is not JSON.
    """
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield number, json.loads(line, object_pairs_hook=reject_repeated_keys)
            except (ValueError, RecursionError) as error:
                column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                problem = getattr(error, "msg", str(error))
                raise explain_json(f"{place}, line {number}{column}", problem) from None


def holds_json_lines(file: TextIO) -> bool:
    """Return whether the first line that is not blank is a whole object, and others follow. Rewinds the file."""
    first = next((line for line in iter(lambda: file.readline(MAX_CHARACTERS), "") if line.strip()), "")
    is_followed = any(line.strip() for line in file)
    file.seek(0)
    try:
        return is_followed and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


class JsonText:
    """A text with JSON values, of which only the part is in memory that the next value needs."""

    def __init__(self, file: TextIO, place: str) -> None:
        self._file, self._place = file, place
        self._buffer, self._position = "", 0
        self._line, self._column = 1, 1  # of the position
        self._is_at_end = False
        self._decoder = json.JSONDecoder(object_pairs_hook=reject_repeated_keys)

    def peek(self) -> str:
        """Return the next character that is not white space, without reading it; "" at the end."""
        while True:
            while self._position < len(self._buffer) and self._buffer[self._position] in _SPACE:
                self._advance(self._position + 1)
            if self._position < len(self._buffer) or not self._read_more():
                return self._buffer[self._position : self._position + 1]

    def skip(self, character: str) -> None:
        """Read one character.

        Raises:
            DataError: the next character is another.
        """
        if self.peek() != character:
            raise self.explain(f"expecting {character!r}")
        self._advance(self._position + 1)

    def read_value(self) -> tuple[int, Any]:  # Any: whatever JSON may hold
        """Read the next value. Returns the number of the line in which it begins, and the value.

        Raises:
            DataError: it is not JSON, or too large.
        """
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._buffer) - _BROKEN_AT_END
                if not (is_cut and self._read_more()):
                    self._advance(error.pos)
                    raise self.explain(error.msg) from None
            except (ValueError, RecursionError) as error:
                raise self.explain(str(error)) from None
            else:
                if end == len(self._buffer) and not isinstance(value, dict | list | str) and self._read_more():
                    continue  # the digits of a number may go on
                line = self._line
                self._advance(end)
                return line, value

    def iterate_items(self) -> Iterator[tuple[int, Any]]:
        """Yield the items of a list with the numbers of their lines.

        Raises:
            DataError: the list is not JSON, or something comes after it.
        """
        self.skip("[")
        while self.peek() != "]":
            yield self.read_value()
            if self.peek() != "]":
                self.skip(",")
        self.skip("]")
        if self.peek():
            raise self.explain("something comes after the list")

    def iterate_values(self) -> Iterator[tuple[int, Any]]:
        """Yield values that come one after another, with or without line breaks between and inside them."""
        while self.peek():
            yield self.read_value()

    def explain(self, problem: str) -> DataError:
        """Return an error that names the line and column of the position."""
        return explain_json(f"{self._place}, line {self._line}, column {self._column}", problem)

    def _advance(self, position: int) -> None:
        breaks = self._buffer.count("\n", self._position, position)
        self._line += breaks
        start = self._buffer.rindex("\n", self._position, position) + 1 if breaks else self._position
        self._column = position - start + (1 if breaks else self._column)
        self._position = position

    def _read_more(self) -> bool:
        """Read another block, larger for a longer value. Returns whether there is more."""
        if self._is_at_end:
            return False
        kept = len(self._buffer) - self._position
        if kept > MAX_CHARACTERS:
            raise DataError(
                f"{self._place}, line {self._line}: a value of more than {MAX_CHARACTERS:,} characters. Write the rows "
                "as JSON lines: one object on each line."
            )
        more = self._file.read(max(BLOCK_CHARACTERS, kept))
        self._buffer, self._position = self._buffer[self._position :] + more, 0
        self._is_at_end = not more
        return bool(more)
