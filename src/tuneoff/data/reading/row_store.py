"""Rows of text formats, kept in a temporary file on disk, so that memory does not grow with the data.

Each row is one JSON text. Arrow would need one type for each column, and JSON files mix numbers, text and lists freely.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Sequence
from typing import IO

from tuneoff.data.example import Row
from tuneoff.data.rows import Rows, require_rows
from tuneoff.errors import DataError
from tuneoff.system.cache import get_cache_folder
from tuneoff.system.full_disk import explain_full_disk

MEMORY_BYTES = 32 * 2**20  # smaller data stays in memory
MAX_ROWS = 20_000_000


class RowStore:
    """Rows that are added one after another, and read by their index. The file has no name, so nothing is left over."""

    def __init__(self) -> None:
        folder = get_cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(folder))  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # it lives as long as the rows
        self._folder = folder
        self._ends = array("Q", [0])

    def add(self, rows: Iterable[Row], place: str) -> Rows:
        """Add the rows of a file and return them. A key that only some rows have is a missing value in the others.

        Raises:
            DataError: there are none, or too many.
            FullDiskError: they do not fit on the disk.
        """
        start = len(self._ends) - 1
        columns: dict[str, None] = {}
        with explain_full_disk(self._folder):
            end = self._file.seek(self._ends[-1])
            for row in rows:
                end += self._file.write(json.dumps(row, default=str).encode())
                self._ends.append(end)
                columns.update(dict.fromkeys(row))
                if len(self._ends) > MAX_ROWS:
                    raise DataError(f"{place} has more than {MAX_ROWS:,} rows, the limit. Give a sample of it.")
        count = len(self._ends) - 1 - start
        require_rows(place, count)

        def take(indices: Sequence[int]) -> list[Row]:
            return [json.loads(self._read_text(start + index)) for index in indices]

        return Rows(place=place, count=count, columns=tuple(columns), take=take)

    def _read_text(self, index: int) -> bytes:
        start, end = self._ends[index], self._ends[index + 1]
        self._file.seek(start)
        return self._file.read(end - start)
