"""CSV, TSV, JSON and JSON lines, read so that text stays text and an error names its line.

We read these formats ourselves because readers that guess column types turn "007" into 7 and "2020-01-01" into a date,
and report a broken line without its number. Parquet stores its types and is left to `datasets`.
"""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from tuneoff.data.example import Row
from tuneoff.errors import DataError


def read_file_rows(path: Path, kind: str) -> list[Row]:
    """Read every row of a file. `kind` is csv, tsv, json or jsonl.

    Raises:
        DataError: the file is missing, not UTF-8, or cannot be parsed.
    """
    require_file(path)
    match kind:
        case "csv":
            return _read_separated(path, ",")
        case "tsv":
            return _read_separated(path, "\t")
        case "jsonl":
            return [_require_object(path, *line) for line in iterate_json_lines(path)]
        case _:
            return _read_json_objects(path)


def require_file(path: Path) -> None:
    """
    Raises:
        DataError: `path` does not exist, or is a folder.
    """
    if not path.is_file():
        problem = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {problem}. Relative paths start from {Path.cwd()}.")


def iterate_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends, without a byte order mark. `.gz` is unpacked.

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
    """Yield the line number and the value of each line that is not blank.

    Raises:
        DataError: a line is not JSON, or as for `iterate_lines`.
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
        raise DataError(
            f"{path} cannot be read: {error}. Check that the file is complete and that you may read it."
        ) from error


def _read_separated(path: Path, separator: str) -> list[Row]:
    rows: list[Row] = []
    with _allow_any_field_size():
        reader = csv.reader(iterate_lines(path), delimiter=separator, strict=True)
        try:
            header = next(reader, [])
            if not header:
                raise DataError(f"{path} is empty. The first line must name the columns.")
            for row in reader:
                if len(row) not in (0, len(header)):
                    raise DataError(
                        f"{path}, line {reader.line_num}: {len(row)} fields where the first line names {len(header)} "
                        "columns. Put text that contains the separator, a quote or a line break in double quotes."
                    )
                if row:
                    rows.append(dict(zip(header, row, strict=True)))
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: {error}. Put text that contains the separator, a quote or a line "
                "break in double quotes, and double a quote inside them."
            ) from None
    return rows


@contextmanager
def _allow_any_field_size() -> Iterator[None]:
    """Remove the csv module's limit of 128 KiB per field inside the block: a book chapter is longer."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _read_json_objects(path: Path) -> list[Row]:
    """Read the rows of a JSON file: a list of objects, an object of lists, or, as is common, JSON lines."""
    text = "".join(iterate_lines(path))
    try:
        value = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        if getattr(error, "msg", None) == "Extra data":
            return [_require_object(path, *line) for line in iterate_json_lines(path)]
        raise _explain_unparsable(path, error) from None
    if isinstance(value, dict):
        if not value or not all(isinstance(column, list) for column in value.values()):
            return [value]
        if len({len(column) for column in value.values()}) > 1:
            counts = [f"{len(column)} of {name!r}" for name, column in value.items()]
            raise DataError(f"{path} lists {' and '.join(counts)}. Give every column one value for each row.")
        return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise DataError(f"{path} contains {_describe_kind(value)}. Give a list of objects, one for each row.")
    return [_require_object(path, number, row, "item") for number, row in enumerate(value, start=1)]


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
