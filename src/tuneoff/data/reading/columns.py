"""Finding the column that a user means: by its name, by its name in other case, or by a path to a nested value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuneoff.data.example import Row
from tuneoff.data.rows import Rows
from tuneoff.errors import DataError, suggest

PROBED_ROWS = 1000  # rows in which a nested value is looked for


@dataclass(frozen=True)
class Column:
    """A column, or a value nested in one: `meta.a` is the key "a" of the column "meta"."""

    name: str  # of the column in the data
    path: tuple[str, ...] = ()  # the keys inside it; a number is an index of a list

    def get(self, row: Row) -> Any:  # Any: columns hold anything
        """Return the value in a row; None if it is missing."""
        value = row.get(self.name)
        for key in self.path:
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, list | tuple) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value


def find_column(name: str, columns: Sequence[str], place: str = "the data") -> Column | None:
    """Return the column that `name` means; None if there is none.

    An equal name comes first, then one that is equal without spaces around it and without regard to case, then a
    path: `meta.a`.

    Raises:
        DataError: several columns differ from `name` only in case.
    """
    exact = _find_name(name, columns, place)
    if exact is not None:
        return Column(exact)
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        first = _find_name(".".join(parts[:length]), columns, place)
        if first is not None and all(parts[length:]):
            return Column(first, tuple(part.strip() for part in parts[length:]))
    return None


def resolve_columns(rows: Rows, names: Iterable[str]) -> Rows:
    """Return rows that have a column with each of these names, if the data has what they mean.

    A name that is no column of the data, such as `meta.a` or `Text` for `text`, becomes a column beside the others.

    Raises:
        DataError: a name is ambiguous, or no row has the nested value.
    """
    added: dict[str, Column] = {}
    for name in names:
        column = find_column(name, rows.columns, rows.place)
        if column is not None and name not in rows.columns:
            if column.path:
                _require_nested(name, column, rows)
            added[name] = column
    if not added:
        return rows
    return replace(
        rows,
        columns=(*rows.columns, *added),
        take=_add_columns(rows.take, added),
        shown_by={name: (column.name, *column.path) for name, column in added.items()},
    )


def require_unique_names(names: Sequence[str], place: str) -> None:
    """
    Raises:
        DataError: two columns have the same name, so one of them could not be read.
    """
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise DataError(
                f"{place} has two columns {name!r}, the {names.index(name) + 1}. and the {i + 1}. Rename one of them."
            )


def _find_name(name: str, columns: Sequence[str], place: str) -> str | None:
    if name in columns:
        return name
    same = [column for column in columns if column.strip().casefold() == name.strip().casefold()]
    if len(same) > 1:
        raise DataError(
            f"{place} has no column {name!r}, and several that differ only in case: {', '.join(map(repr, same))}. "
            "Write the exact name."
        )
    return same[0] if same else None


def _require_nested(name: str, column: Column, rows: Rows) -> None:
    probed = rows.take(range(min(rows.count, PROBED_ROWS)))
    if any(column.get(row) is not None for row in probed):
        return
    parents = [Column(column.name, column.path[:-1]).get(row) for row in probed]
    keys = {str(key): None for parent in parents if isinstance(parent, Mapping) for key in parent}
    raise DataError(
        f"{rows.place} has a column {column.name!r}, but none of its first {len(probed):,} rows has {name!r}."
        + (suggest(column.path[-1], keys) if keys else " The value is not nested. Name a column.")
    )


def _add_columns(take: Callable[[Sequence[int]], list[Row]], added: Mapping[str, Column]) -> Any:
    def take_with_added(indices: Sequence[int]) -> list[Row]:
        return [{**row, **{name: column.get(row) for name, column in added.items()}} for row in take(indices)]

    return take_with_added
