"""The rows of one split before cleaning: any values, not necessarily text.

Rows are read by their index, so that a sample of a large data set costs no more than the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.config.data import ColumnNames
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset

Pair = tuple[object, ...]  # source, target, and the group if there are groups; cleaning finds values of a wrong type


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One split: how many rows it has, and functions to read some and to describe its columns in an error message."""

    place: str  # for error messages: a path or a name
    count: int
    take: Callable[[Sequence[int]], list[Pair]]  # the rows with these indices
    describe_columns: Callable[[], str]
    read_groups: Callable[[], Sequence[object]] | None = None  # of all rows; None: every row is on its own


def make_rows(
    place: str, pairs: Sequence[Pair], describe_columns: Callable[[], str] = str, *, has_groups: bool = False
) -> Rows:
    """Wrap rows that are in memory.

    Args:
        has_groups: whether each row has a group after its source and its target.
        describe_columns: called only for an error message; the default is for data without named columns.

    Raises:
        DataError: there are no rows.
    """
    _require_rows(place, len(pairs))

    def take(indices: Sequence[int]) -> list[Pair]:
        return [pairs[i] for i in indices]

    return Rows(
        place=place,
        count=len(pairs),
        take=take,
        describe_columns=describe_columns,
        read_groups=(lambda: [pair[2] for pair in pairs]) if has_groups else None,
    )


def convert_dataset(place: str, dataset: Dataset, fields: ColumnNames) -> Rows:
    """Wrap a data set, whose rows stay on disk until they are read.

    Raises:
        DataError: a column is missing, or there are no rows.
    """
    require_columns(place, dataset.column_names, fields)
    _require_rows(place, len(dataset))
    columns = dataset.with_format(None).select_columns(list(set(fields.names)))

    def take(indices: Sequence[int]) -> list[Pair]:
        block = columns[list(indices)]
        return list(zip(*(block[name] for name in fields.names), strict=True))

    return Rows(
        place=place,
        count=len(dataset),
        take=take,
        describe_columns=lambda: describe_columns(fields, dataset.column_names),
        read_groups=(lambda: list(columns[fields.group])) if fields.group is not None else None,
    )


def describe_columns(fields: ColumnNames, present: Sequence[str]) -> str:
    """Return a sentence that names the columns of the recipe and those of the data."""
    return f"Looked for {' and '.join(map(repr, fields.names))}; the columns are {', '.join(map(repr, present))}. "


def require_columns(place: str, present: Sequence[str], fields: ColumnNames) -> None:
    """
    Raises:
        DataError: a column of `fields` is not among those present.
    """
    for role, name in zip(("source", "target", "group"), fields.names, strict=False):
        if name not in present:
            raise DataError(
                f"{place} has no column {name!r} for the {role}.{suggest(name, present)} "
                f"Name the right one: fields: {{{role}: NAME}}."
            )


def _require_rows(place: str, count: int) -> None:
    if count == 0:
        raise DataError(f"{place} has no rows. Give data with at least one example for each split.")
