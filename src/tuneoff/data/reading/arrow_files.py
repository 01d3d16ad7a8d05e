"""Parquet, Arrow and Feather files, which store their types. `datasets` reads them and keeps the rows on disk."""

from __future__ import annotations

import glob
from pathlib import Path

from tuneoff.data.reading.library import explain_read_errors, hide_progress_bars
from tuneoff.data.reading.row_store import MAX_ROWS
from tuneoff.data.rows import Rows, convert_dataset
from tuneoff.errors import DataError


def read_arrow_file(path: Path, place: str, kind: str, is_copy: bool) -> Rows:
    """Read a Parquet, Arrow or Feather file.

    Args:
        kind: parquet or arrow.
        is_copy: the file is removed after reading, so nothing may stay in the cache of `datasets`.

    Raises:
        DataError: the file is damaged, or has too many rows.
    """
    import datasets
    import pyarrow.parquet

    with explain_read_errors(place, "Check that the file is complete, or write it again."), hide_progress_bars():
        if kind == "parquet" and pyarrow.parquet.read_metadata(path).num_rows > MAX_ROWS:
            raise DataError(f"{place} has more than {MAX_ROWS:,} rows, the limit. Give a sample of it.")
        # `datasets` takes a path as a pattern, so brackets must be escaped
        data = datasets.load_dataset(
            kind,
            data_files=glob.escape(str(path)),
            split="train",
            cache_dir=str(path.parent / "cache") if is_copy else None,
        )
    return convert_dataset(place, data)
