"""Cleaning of text, and which rows are usable. Everything else sees cleaned text only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneoff.config.data import CleaningOptions, TextOptions
from tuneoff.data.example import Example, Row
from tuneoff.data.reading.columns import Column
from tuneoff.data.rows import Rows
from tuneoff.data.shapes import Cells, Shape
from tuneoff.data.shapes.recognize import ChosenShape
from tuneoff.data.values import MissingValueError, UnusableRowError, is_na_text

_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON allows half of a surrogate pair, which cannot be encoded


@dataclass(frozen=True, kw_only=True)
class ExampleBuilder:
    """Builds the examples of one split from its rows."""

    shape: Shape
    columns: Mapping[str, Column]  # by role
    classes: Mapping[str, Sequence[str]]  # of the roles whose column has the numbers of classes
    options: TextOptions
    targets_list_objects: bool = False

    def build(self, row: Row) -> Example:
        """Build the example of a row.

        Raises:
            UnusableRowError: the source or the target has no text, or is empty after cleaning; or the group is missing.
        """
        values = {role: column.get(row) for role, column in self.columns.items()}
        cells = Cells(
            values=values,
            classes=self.classes,
            options=self.options,
            targets_list_objects=self.targets_list_objects,
        )
        parts = self.shape.build(cells)
        answers = self._clean_answers(parts.answers)
        return Example(
            source=self._clean_source(parts.source),
            target=answers[0],
            references=answers if len(answers) > 1 else (),
            columns=row,
            messages=clean_messages(parts.messages, self.options),
            group=clean_group(values["group"]) if "group" in values else None,
            document=parts.document,
        )

    def _clean_source(self, source: str) -> str:
        text = _require_encodable("source", clean_text(source, self.options.clean))
        if not text.strip() and "source" in self.shape.required:
            raise UnusableRowError(f"source is empty{' once cleaned' if source.strip() else ''}")
        return text

    def _clean_answers(self, answers: Sequence[str]) -> tuple[str, ...]:
        cleaned = [_require_encodable("target", clean_text(answer, self.options.clean)) for answer in answers]
        filled = tuple(dict.fromkeys(text for text in cleaned if text.strip()))
        if not filled and self.options.empty_targets == "leave-out":
            raise UnusableRowError(f"target is empty{' once cleaned' if any(map(str.strip, answers)) else ''}")
        if filled and self.options.na != "keep" and is_na_text(filled[0]):
            raise MissingValueError(f"target spells a missing value: {filled[0]!r}")
        return filled or ("",)


def make_builder(rows: Rows, chosen: ChosenShape, options: TextOptions) -> ExampleBuilder:
    """Make the builder for the rows of one split.

    Raises:
        DataError: the split lacks a column.
    """
    columns = chosen.find_columns(rows)
    classes = {
        role: rows.labels[column.name]
        for role, column in columns.items()
        if not column.path and column.name in rows.labels
    }
    return ExampleBuilder(
        shape=chosen.shape,
        columns=columns,
        classes=classes,
        options=options,
        targets_list_objects=chosen.targets_list_objects,
    )


def clean_group(value: object) -> str:
    """Convert the group of a row to text, so that 7, 7.0 and "7" in different files are one group.

    Raises:
        UnusableRowError: the group is missing, or neither text nor a number. Rows without a group must not form one.
    """
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        raise UnusableRowError("group is missing")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnusableRowError(f"group is not text or a number but {type(value).__name__}: {value!r:.40}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def clean_messages(messages: Sequence[Row], options: TextOptions) -> tuple[Row, ...]:
    """Clean the content of each message.

    Raises:
        UnusableRowError: it cannot be encoded.
    """
    return tuple(
        {**message, "content": _require_encodable("a message", clean_text(message["content"], options.clean))}
        for message in messages
    )


def clean_text(text: str, clean: CleaningOptions) -> str:
    """Convert to lower case, remove punctuation and collapse white space, each if `clean` asks for it.

    White space comes last, because removing punctuation leaves gaps. Line breaks stay: ROUGE-Lsum takes each line of a
    summary as a sentence.
    """
    if clean.lower:
        text = text.lower()
    if clean.punctuation:
        text = text.translate(_PUNCTUATION)
    if clean.whitespace:
        text = "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))
    return text


def _require_encodable(name: str, text: str) -> str:
    if _SURROGATE.search(text):
        raise UnusableRowError(f"{name} holds half of a surrogate pair, which is no character")
    return text


class _Punctuation(dict[int, int | None]):
    """A table for `str.translate` that removes punctuation. It adds each character when it first occurs."""

    def __missing__(self, codepoint: int) -> int | None:
        replacement = None if unicodedata.category(chr(codepoint)).startswith("P") else codepoint
        self[codepoint] = replacement
        return replacement


_PUNCTUATION = _Punctuation()
