"""CSV, TSV and other separated values. Values stay text: "007" is not 7, and "2020-01-01" is not a date.

Readers that guess types change such values, and report a row of another length without the number of its line, so we
use Python's `csv` module. Its guess of the separator takes letters for separators, so we choose it ourselves: by the
header and the first rows.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

from tuneoff.data.example import Row
from tuneoff.data.reading.columns import require_unique_names
from tuneoff.errors import DataError

SEPARATORS = "\t;,|"
SAMPLE_ROWS = 100
SAMPLE_CHARACTERS = 2**20
_SEPARATOR_LINE = re.compile(r'\A"?sep=(.)"?[ \t]*\r?\n?\Z', re.IGNORECASE)  # Excel's, in the first line
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Dialect:
    """How the values of a file are separated."""

    separator: str
    fields: int  # in the header
    is_consistent: bool = True  # the sampled rows have as many fields as the header
    skips_spaces: bool = False  # one or more spaces follow each separator
    is_quoted: bool = True  # double quotes enclose values with separators, quotes and line breaks
    skipped_lines: int = 0  # before the header


def find_dialect(path: Path, encoding: str, name: str = "") -> Dialect:
    """Find the separator: the one with which the first rows have as many fields as the header.

    Args:
        name: of the file, for a guess if several fit.
    """
    with _open(path, encoding) as file:
        first = file.readline(SAMPLE_CHARACTERS)
        declared = _SEPARATOR_LINE.match(first)
        text = ("" if declared else first) + file.read(SAMPLE_CHARACTERS)
    is_whole = len(text) < SAMPLE_CHARACTERS
    if declared:
        return replace(_try_separator(declared[1], text, is_whole), skipped_lines=1)
    tried = [_try_separator(separator, text, is_whole) for separator in SEPARATORS]
    usual = "\t" if name.endswith((".tsv", ".tab")) else "," if name.endswith(".csv") else None
    several = [dialect for dialect in tried if dialect.fields > 1]
    several.sort(key=lambda dialect: (dialect.is_consistent, dialect.separator == usual, dialect.fields), reverse=True)
    best = several[0] if several else _try_separator(usual or ",", text, is_whole)
    if best.separator == "\t" and not _has_proper_quotes(path, encoding, best):
        return replace(best, is_quoted=False)
    return best


def read_header(path: Path, encoding: str, dialect: Dialect) -> list[str]:
    """Return the names of the columns; none if the first line cannot be read as separated values."""
    with _allow_any_field_size(), _open(path, encoding) as file:
        lines = islice(iter(lambda: file.readline(SAMPLE_CHARACTERS), ""), dialect.skipped_lines, SAMPLE_ROWS)
        try:
            return [name.strip() for name in next(_make_reader(lines, dialect), [])]
        except csv.Error:
            return []


def iterate_separated(path: Path, encoding: str, dialect: Dialect, place: str) -> Iterator[Row]:
    """Yield the rows. Names of columns lose the spaces around them; columns without a name are left out.

    Raises:
        DataError: two columns have the same name, a row has another number of fields than the header, or a quote is
            not closed. The message has the number of the line in which the row begins.
    """
    with _allow_any_field_size(), _open(path, encoding) as file:
        for _ in range(dialect.skipped_lines):
            file.readline()
        reader = _make_reader(file, dialect)
        line = 1
        try:
            header = [name.strip() for name in next(reader, [])]
            if not any(header):
                raise DataError(f"{place} is empty. The first line must name the columns.")
            require_unique_names(header, place)
            named = [(i, name) for i, name in enumerate(header) if name]
            line = reader.line_num + 1
            for row in reader:
                if len(row) not in (0, len(header)):
                    raise DataError(
                        f"{place}, line {line + dialect.skipped_lines}: {len(row)} fields where the first line names "
                        f"{len(header)} columns. Put text that contains the separator {dialect.separator!r}, a quote "
                        "or a line break in double quotes."
                    )
                if row:
                    yield {name: row[i] for i, name in named}
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{place}, line {line + dialect.skipped_lines}: {error}. Put text that contains the separator "
                f"{dialect.separator!r}, a quote or a line break in double quotes, and double a quote inside them."
            ) from None


def _try_separator(separator: str, text: str, is_whole: bool) -> Dialect:
    dialect = Dialect(separator, 0)
    rows = _parse_sample(text, dialect, is_whole)
    if not rows:
        return Dialect(separator, 0, is_consistent=False)
    if len(rows) > 1 and all(field[:1] in (" ", "") for row in rows for field in row[1:]):
        spaced = replace(dialect, skips_spaces=any(field for row in rows for field in row[1:]))
        dialect, rows = spaced, _parse_sample(text, spaced, is_whole) or rows
    lengths = {len(row) for row in rows}
    return replace(dialect, fields=len(rows[0]), is_consistent=len(rows) > 1 and len(lengths) == 1)


def _parse_sample(text: str, dialect: Dialect, is_whole: bool) -> list[list[str]]:
    rows: list[list[str]] = []
    with _allow_any_field_size():
        try:
            # keepends and not splitlines: only CR and LF end a row
            reader = _make_reader(iter(re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)), dialect)
            rows.extend(islice(reader, SAMPLE_ROWS + 1))
        except csv.Error:
            is_whole = True  # what was read before the error decides; the error is reported when all is read
    if not is_whole and len(rows) <= SAMPLE_ROWS:
        rows = rows[:-1]  # the sample cut the last row
    return [row for row in rows if row]


def _make_reader(lines: Iterator[str] | TextIO, dialect: Dialect):  # type: ignore[no-untyped-def]  # `csv` does not export its type
    return csv.reader(
        lines,
        delimiter=dialect.separator,
        skipinitialspace=dialect.skips_spaces,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if dialect.is_quoted else csv.QUOTE_NONE,
    )


def _has_proper_quotes(path: Path, encoding: str, dialect: Dialect) -> bool:
    """Return False if quotes in a file with tabs are plain characters: each line is a row, and a quote is not closed.

    Reading such quotes as usual would join rows without a word.
    """
    proper = True
    with _open(path, encoding) as file:
        for line in file:
            fields = line.rstrip("\r\n").split(dialect.separator)
            if fields != [""] and len(fields) != dialect.fields:
                return True  # a row has line breaks or tabs, which only quotes can hold
            proper = proper and all(not f.startswith('"') or _QUOTED.fullmatch(f) for f in fields)
    return proper


def _open(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, newline="")  # "": line breaks inside quotes stay as they are


@contextmanager
def _allow_any_field_size() -> Iterator[None]:
    """Remove the csv module's limit of 128 KiB per field inside the block: a book chapter is longer."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
