"""From files to rows: each is unpacked, recognized by its content and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tuneoff.data.example import Row
from tuneoff.data.reading.arrow_files import read_arrow_file
from tuneoff.data.reading.json_rows import iterate_json
from tuneoff.data.reading.plain_text import choose_unit, iterate_plain_text
from tuneoff.data.reading.recognize import Recognized, recognize
from tuneoff.data.reading.row_store import RowStore
from tuneoff.data.reading.separated import iterate_separated
from tuneoff.data.reading.unpack import Item, unpack
from tuneoff.data.reading.workbooks import iterate_workbook
from tuneoff.data.rows import Rows, join_rows
from tuneoff.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the recipe says about the files."""

    format: str | None = None  # csv and the like, to choose where the content leaves a choice; None: by the name
    records: str | None = None
    encoding: str | None = None
    wanted: tuple[str, ...] = ()  # columns


def read_items(items: Sequence[Item], options: ReadOptions) -> Rows:
    """Read the files of one split, one after another.

    Raises:
        DataError: a file cannot be read, holds no rows, or has other columns than the others.
    """
    parts: list[Rows] = []
    store, tables = RowStore(), _TableColumns()
    for item in items:
        with unpack(item) as path:
            name = f".{options.format}" if options.format else item.name
            found = recognize(path, item.place, name, options.wanted, options.encoding)
            _require_effect(item.place, found, options)
            if found.kind in ("parquet", "arrow"):
                part = read_arrow_file(path, item.place, found.kind, is_copy=path != item.path)
            elif found.kind == "text":
                unit = choose_unit(path, found.encoding, item.place, options.records, len(items) == 1)
                part = store.add(iterate_plain_text(path, found.encoding, unit, item.place), item.place)
                part = part.add_notes(f"{item.place} is plain text; each {unit} is a row.")
            else:
                part = store.add(_iterate_rows(path, item.place, found, options), item.place)
        if found.kind != "json":
            tables.require_equal(part)
        description = f"{item.place}: {found.describe()}, {part.count:,} rows"
        parts.append(replace(part.add_notes(*found.notes), files=(description,)))
    return join_rows(items[0].place if len(items) == 1 else f"{items[0].place} and {len(items) - 1} more", parts)


def _require_effect(place: str, found: Recognized, options: ReadOptions) -> None:
    """Refuse keys of the recipe that a file of this kind does not read.

    Raises:
        DataError: there is one.
    """
    useless = {
        "records": options.records is not None and found.kind in ("parquet", "arrow", "separated"),
        "encoding": options.encoding is not None and found.kind in ("parquet", "arrow", "workbook"),
    }
    for key, is_useless in useless.items():
        if is_useless:
            raise DataError(f"{place} is {found.describe()}, for which data.{key} has no effect. Leave it out.")


def _iterate_rows(path: Path, place: str, found: Recognized, options: ReadOptions) -> Iterator[Row]:
    match found.kind:
        case "workbook":
            return iterate_workbook(path, place, options.records)
        case "json":
            return iterate_json(path, found.encoding, place, options.records, options.wanted)
        case _:
            assert found.dialect is not None, "separated values have a dialect"
            return iterate_separated(path, found.encoding, found.dialect, place)


class _TableColumns:
    """The columns of the first table of a split, which the others must have too. Objects of JSON may lack keys."""

    def __init__(self) -> None:
        self._first: Rows | None = None

    def require_equal(self, part: Rows) -> None:
        """
        Raises:
            DataError: the part has other columns than the first.
        """
        if self._first is None:
            self._first = part
        for one, other in ((self._first, part), (part, self._first)):
            missing = [name for name in one.columns if name not in other.columns]
            if missing:
                raise DataError(
                    f"{other.place} has no column {missing[0]!r}, which {one.place} has. Files of one split need "
                    "the same columns."
                )
