"""Plain text: the rows have one column, `text`.

A file that stands alone is divided into paragraphs, or into lines if it has no blank line; of several files each is a
row. The recipe decides otherwise with `records: line`, `paragraph` or `document`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuneoff.data.example import Row
from tuneoff.errors import DataError, suggest

COLUMN = "text"
UNITS = ("line", "paragraph", "document")
MAX_DOCUMENT_CHARACTERS = 2**28


def choose_unit(path: Path, encoding: str, place: str, records: str | None, stands_alone: bool) -> str:
    """Return what a row is: a line, a paragraph or a document.

    Raises:
        DataError: `records` is none of them.
    """
    if records is not None:
        if records not in UNITS:
            raise DataError(
                f"{place} is plain text, of which data.records says what a row is.{suggest(records, UNITS)}"
            )
        return records
    if not stands_alone:
        return "document"
    return "paragraph" if _has_blank_line(path, encoding) else "line"


def iterate_plain_text(path: Path, encoding: str, unit: str, place: str) -> Iterator[Row]:
    """Yield the units of a text in order, without the blank lines between them.

    Raises:
        DataError: a document is too long for one example.
    """
    with path.open(encoding=encoding) as file:
        if unit == "document":
            text = file.read(MAX_DOCUMENT_CHARACTERS + 1)
            if len(text) > MAX_DOCUMENT_CHARACTERS:
                raise DataError(f"{place} is too long for one document. Write data.records: paragraph.")
            yield {COLUMN: text}
            return
        lines: list[str] = []
        for line in file:
            if line.strip():
                lines.append(line)
            if lines and (unit == "line" or not line.strip()):
                yield {COLUMN: "".join(lines).rstrip("\n")}
                lines = []
        if lines:
            yield {COLUMN: "".join(lines).rstrip("\n")}


def _has_blank_line(path: Path, encoding: str) -> bool:
    """Return whether a blank line stands between two others."""
    was_text = was_blank = False
    with path.open(encoding=encoding) as file:
        for line in file:
            if line.strip():
                if was_text and was_blank:
                    return True
                was_text, was_blank = True, False
            else:
                was_blank = True
    return False
