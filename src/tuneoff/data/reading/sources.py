"""Reading the rows of the splits that the data has. The missing ones are taken out of train later."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuneoff.config.data import DataOptions, FileText, HubText, SavedText, SplitFiles, SplitNames, get_fields
from tuneoff.data.reading.columns import resolve_columns
from tuneoff.data.reading.files import ReadOptions, read_items
from tuneoff.data.reading.hub import is_saved, read_hub, read_saved
from tuneoff.data.reading.json_values import iterate_json_lines
from tuneoff.data.reading.locations import locate
from tuneoff.data.reading.unpack import require_file
from tuneoff.data.rows import Rows, make_rows
from tuneoff.errors import DataError

ACLSUM_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


def read_rows(options: DataOptions) -> dict[str, Rows]:
    """Read the rows of "train", and of "validation" and "test" if the data has them.

    Every column that the recipe names is there under that name, if the data has what it means.

    Raises:
        DataError: the data cannot be reached, found or parsed, has no rows, or a split is missing.
    """
    fields = get_fields(options)
    return {split: resolve_columns(rows, fields.names) for split, rows in _read_source(options).items()}


def _read_source(options: DataOptions) -> dict[str, Rows]:
    match options:
        case HubText():
            return read_hub(options)
        case SavedText():
            return read_saved(Path(options.path).expanduser(), options.splits)
        case FileText():
            return _read_files(options)
        case _:
            return _read_aclsum(options.aspect)


def _read_files(options: FileText) -> dict[str, Rows]:
    saved = _find_saved(options.files)
    if saved:
        return read_saved(saved, SplitNames())
    located = locate(options.files)
    read = ReadOptions(
        format=None if options.source == "files" else options.source,
        records=options.records,
        encoding=options.encoding,
        wanted=get_fields(options).names,
    )
    rows = {split: read_items(items, read) for split, items in located.splits.items()}
    return rows | {"train": rows["train"].add_notes(*located.notes)}


def _find_saved(files: SplitFiles) -> Path | None:
    """Return the folder that `save_to_disk` wrote, if that is what the one path leads to."""
    if not isinstance(files.train, str) or files.validation is not None or files.test is not None:
        return None
    folder = Path(files.train).expanduser()
    return folder if is_saved(folder) else None


def _read_aclsum(aspect: str) -> dict[str, Rows]:
    spec = importlib.util.find_spec("aclsum")  # importing it would need packages that reading does not
    if spec is None or not spec.submodule_search_locations:
        raise DataError("The data of ACLSum is not installed. Run: pip install 'tuneoff[demo]'")
    folder = Path(spec.submodule_search_locations[0]) / "dataset"
    return {split: _read_aclsum_split(folder / name, aspect) for split, name in ACLSUM_FILES.items()}


def _read_aclsum_split(path: Path, aspect: str) -> Rows:
    require_file(path)
    with path.open(encoding="utf-8") as file:
        papers: Iterator[Any] = (paper for _, paper in iterate_json_lines(file, str(path)))  # Any: plain JSON
        return make_rows(
            str(path),
            [
                {"source": " ".join(paper["sentences"]["abstract"]), "target": paper["summary"][aspect]}
                for paper in papers
            ],
        )
