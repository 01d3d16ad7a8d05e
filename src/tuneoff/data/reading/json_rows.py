"""The rows of a JSON file, whichever way it holds them.

A list of objects; objects one after another, on one line each or pretty-printed; an object of lists; a list under a
key; and the ways in which pandas writes a table: a dict of dicts, by columns or by rows, and its "split" form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuneoff.data.example import Row
from tuneoff.data.reading.columns import find_column
from tuneoff.data.reading.json_values import JsonText, holds_json_lines, iterate_json_lines
from tuneoff.errors import DataError

MESSAGE_KEYS = {"role", "from"}  # a list of objects with these is a chat, which is one row


def iterate_json(
    path: Path, encoding: str, place: str, records: str | None = None, wanted: Sequence[str] = ()
) -> Iterator[Row]:
    """Yield the rows.

    Args:
        records: the key under which the list is, or a path of keys: `data.items`.
        wanted: the columns that the recipe names, which tell rows from columns in a dict of dicts.

    Raises:
        DataError: the file is not JSON, or holds no rows.
    """
    with path.open(encoding=encoding, newline=None) as file:
        if holds_json_lines(file):
            _require_no_key(place, records)
            for line, value in iterate_json_lines(file, place):
                yield _require_object(place, "line", line, value)
            return
        text = JsonText(file, place)
        match text.peek():
            case "[" if not records:
                yield from _iterate_list(text, place)
            case "":
                return
            case _:
                line, first = text.read_value()
                if text.peek():
                    _require_no_key(place, records)
                    yield _require_object(place, "line", line, first)
                    for line, value in text.iterate_values():
                        yield _require_object(place, "line", line, value)
                else:
                    yield from _iterate_single(place, line, first, records, wanted)


def _iterate_list(text: JsonText, place: str) -> Iterator[Row]:
    for number, (line, value) in enumerate(text.iterate_items(), start=1):
        yield _require_object(place, "item", number, value, line)


def _iterate_single(place: str, line: int, value: Any, records: str | None, wanted: Sequence[str]) -> Iterator[Row]:
    if records:
        yield from _find_records(place, value, records)
        return
    if not isinstance(value, dict):
        raise DataError(f"{place} contains {_describe_kind(value)}. Give a list of objects, one for each row.")
    yield from _interpret_object(place, value, wanted)


def _find_records(place: str, value: Any, records: str) -> Iterator[Row]:
    inner = value
    for key in records.split("."):
        if not isinstance(inner, Mapping) or key not in inner:
            known = f" It has: {', '.join(map(repr, inner))}." if isinstance(inner, Mapping) else ""
            raise DataError(f"{place} has no key {key!r} of data.records: {records!r}.{known}")
        inner = inner[key]
    if isinstance(inner, dict):
        yield from _interpret_object(place, inner, ())
    elif isinstance(inner, list):
        for number, item in enumerate(inner, start=1):
            yield _require_object(place, f"{records}, item", number, item)
    else:
        raise DataError(f"{place}, {records}: {_describe_kind(inner)}. Give a list of objects, one for each row.")


def _interpret_object(place: str, value: dict[str, Any], wanted: Sequence[str]) -> Iterator[Row]:
    lists = {key: inner for key, inner in value.items() if isinstance(inner, list)}
    tables = {key: inner for key, inner in lists.items() if _is_list_of_rows(inner)}
    if {"columns", "data"} <= value.keys() <= {"columns", "data", "index"} and len(lists) == len(value):
        return _iterate_split_form(place, value)
    named = [column for column in (find_column(name, list(value), place) for name in wanted) if column]
    if any(column.path for column in named):
        return iter([value])  # the object itself has a nested value that the recipe names
    if named and len(lists) < len(value):
        pass  # the object itself has a column that the recipe names
    elif len(tables) == 1:
        return _find_records(place, value, next(iter(tables)))
    elif len(tables) > 1:
        names = " and ".join(map(repr, tables))
        raise DataError(f"{place} has lists of rows under {names}. Name one: data.records: {next(iter(tables))}.")
    if value and len(lists) == len(value) and not any(map(_is_chat, lists.values())):
        return _iterate_lists(place, lists)
    if value and all(isinstance(inner, dict) for inner in value.values()):
        return _iterate_dicts(place, value, wanted)
    return iter([value])


def _is_list_of_rows(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(row, dict) for row in value) and not _is_chat(value)


def _is_chat(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(turn, dict) and MESSAGE_KEYS & turn.keys() for turn in value)


def _iterate_lists(place: str, lists: Mapping[str, list[Any]]) -> Iterator[Row]:
    if len({len(column) for column in lists.values()}) > 1:
        counts = [f"{len(column)} of {name!r}" for name, column in lists.items()]
        raise DataError(f"{place} lists {' and '.join(counts)}. Give every column one value for each row.")
    return (dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True))


def _iterate_split_form(place: str, value: Mapping[str, list[Any]]) -> Iterator[Row]:
    for number, row in enumerate(value["data"], start=1):
        if not isinstance(row, list) or len(row) != len(value["columns"]):
            raise DataError(f"{place}, data, item {number}: not a list of {len(value['columns'])} values.")
        yield dict(zip(map(str, value["columns"]), row, strict=True))


def _iterate_dicts(place: str, value: Mapping[str, dict[str, Any]], wanted: Sequence[str]) -> Iterator[Row]:
    """Read pandas' dict of dicts, by columns, {column: {row: value}}, or by rows, {row: {column: value}}."""
    inner = {key: None for row in value.values() for key in row}
    by_columns = _is_index(inner) or any(find_column(name, list(value), place) for name in wanted)
    by_rows = _is_index(value) or any(find_column(name, list(inner), place) for name in wanted)
    if by_columns == by_rows:
        raise DataError(
            f"{place} is an object of objects, and nothing tells rows from columns: {_list_some(value)} are the outer "
            f"keys and {_list_some(inner)} the inner ones. Write it as a list of objects, one for each row."
        )
    if by_rows:
        return iter(value.values())
    return ({name: column.get(index) for name, column in value.items()} for index in inner)


def _is_index(keys: Mapping[str, Any]) -> bool:
    return all(key.isdigit() for key in keys)


def _list_some(keys: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, list(keys)[:3]))


def _require_no_key(place: str, records: str | None) -> None:
    if records:
        raise DataError(f"{place} holds several values, so data.records: {records!r} has no meaning. Leave it out.")


def _require_object(place: str, unit: str, number: int, value: Any, line: int | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        where = f" (line {line})" if line is not None and line != number else ""
        raise DataError(
            f"{place}, {unit} {number}{where}: {_describe_kind(value)}. Give an object with a key for each column."
        )
    return value


def _describe_kind(value: object) -> str:
    kinds = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list"}
    return "null" if value is None else f"{kinds.get(type(value), type(value).__name__)}, not an object"
