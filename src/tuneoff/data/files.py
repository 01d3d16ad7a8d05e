"""CSV, TSV, JSON and JSON lines, read so that text stays text and a fault is named with its line.

We read these ourselves because a reader that guesses column types turns "007" into 7 and "2020-01-01" into a
date, and tells of a broken line without its number. Parquet knows its types and is left to `datasets`.
"""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from tuneoff.config.data import Fields
from tuneoff.data.rows import Pair, require_columns
from tuneoff.errors import DataError


def read_pairs(path: Path, kind: str, fields: Fields) -> list[Pair]:
    """The source and target of every row of a file whose `kind` is csv, tsv, json or jsonl.

    Raises:
        DataError: the file is missing, not UTF-8, cannot be parsed, or lacks a column.
    """
    require_file(path)
    match kind:
        case "csv":
            return _read_separated(path, ",", fields)
        case "tsv":
            return _read_separated(path, "\t", fields)
        case "jsonl":
            return _extract_pairs(path, [_require_object(path, *line) for line in iterate_json_lines(path)], fields)
        case _:
            return _extract_pairs(path, _read_json_objects(path, fields), fields)


def read_column_names(path: Path, kind: str, fields: Fields) -> list[str]:
    """The columns of a file that `read_pairs` can read."""
    match kind:
        case "csv" | "tsv":
            return next(csv.reader(iterate_lines(path), delimiter="," if kind == "csv" else "\t"))
        case "jsonl":
            objects = [value for _, value in iterate_json_lines(path)]
        case _:
            objects = _read_json_objects(path, fields)
    return list({key: None for row in objects for key in row})


def require_file(path: Path) -> None:
    """
    Raises:
        DataError: `path` leads to nothing, or to a folder.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}. Relative paths are looked up from {Path.cwd()}.")


def iterate_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, with their ends; a byte order mark is dropped, `.gz` is unpacked.

    Raises:
        DataError: the file cannot be read, or is not UTF-8.
    """
    offset = 0
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path} is not UTF-8: line {number}, byte {offset + error.start} of the file. "
                    f"Re-encode it, for example: iconv -f latin1 -t utf-8 {path.name} > utf8-{path.name}"
                ) from None
            offset += len(line)


def iterate_json_lines(path: Path) -> Iterator[tuple[int, Any]]:  # Any: whatever JSON may hold
    """The line number and the value of each line that is not blank.

    Raises:
        DataError: a line is not JSON, or as for `text_lines`.
    """
    for number, line in enumerate(iterate_lines(path), start=1):
        if line.strip():
            yield number, _parse_json(path, line, number)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield cast(BinaryIO, file)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}. Check that it is whole and that you may read it.") from error


def _read_separated(path: Path, separator: str, fields: Fields) -> list[Pair]:
    pairs: list[Pair] = []
    with _allow_any_field_size():
        reader = csv.reader(iterate_lines(path), delimiter=separator, strict=True)
        try:
            header = next(reader, [])
            if not header:
                raise DataError(f"{path} is empty. The first line must name the columns.")
            require_columns(str(path), header, fields)
            source, target = header.index(fields.source), header.index(fields.target)
            for row in reader:
                if len(row) not in (0, len(header)):
                    raise DataError(
                        f"{path}, line {reader.line_num}: {len(row)} fields where the first line names {len(header)} "
                        "columns. Put text that holds the separator, a quote or a line break in double quotes."
                    )
                if row:
                    pairs.append((row[source], row[target]))
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: {error}. Put text that holds the separator, a quote or a line break "
                "in double quotes, and double a quote inside them."
            ) from None
    return pairs


@contextmanager
def _allow_any_field_size() -> Iterator[None]:
    """Lift the limit of the csv module, 128 KiB for a field: a book chapter is longer. It is global, so put it back."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _read_json_objects(path: Path, fields: Fields) -> list[dict[str, Any]]:  # Any: whatever JSON may hold
    """The rows of a JSON file: a list of objects, an object of lists, or, as many files are, JSON lines."""
    text = "".join(iterate_lines(path))
    try:
        whole = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        if getattr(error, "msg", None) == "Extra data":
            return [_require_object(path, *line) for line in iterate_json_lines(path)]
        raise _explain_unparsable(path, error) from None
    if isinstance(whole, dict):
        require_columns(str(path), list(whole), fields)
        lists = whole[fields.source], whole[fields.target]
        if not all(isinstance(column, list) for column in lists):
            return [whole]
        if len(lists[0]) != len(lists[1]):
            raise DataError(
                f"{path}: {fields.source!r} lists {len(lists[0])} values and {fields.target!r} {len(lists[1])}. "
                "Give both columns one value for each row."
            )
        return [{fields.source: s, fields.target: t} for s, t in zip(*lists, strict=True)]
    if not isinstance(whole, list):
        raise DataError(f"{path} holds {_describe_kind(whole)}. Give a list of objects, one for each row.")
    return [_require_object(path, number, value, "item") for number, value in enumerate(whole, start=1)]


def _extract_pairs(path: Path, objects: Sequence[dict[str, Any]], fields: Fields) -> list[Pair]:
    """A key that some rows lack is a missing value there; one that all rows lack is a missing column."""
    if objects:
        require_columns(str(path), list({key: None for row in objects for key in row}), fields)
    return [(row.get(fields.source), row.get(fields.target)) for row in objects]


def _require_object(path: Path, number: int, value: Any, unit: str = "line") -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path}, {unit} {number}: {_describe_kind(value)}. Give an object with a key for each column.")
    return value


def _parse_json(path: Path, text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _explain_unparsable(path, error, number) from None


def _explain_unparsable(path: Path, error: Exception, number: int | None = None) -> DataError:
    line = getattr(error, "lineno", None) if number is None else number
    place = f"{path}, line {line}" if line else str(path)
    column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
    return DataError(f"{place}{column}: not valid JSON ({getattr(error, 'msg', error)}). Correct or remove it.")


def _describe_kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}, not an object"
