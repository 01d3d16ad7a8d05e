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

Pair = tuple[object, object]  # source and target; cleaning finds values that are not text


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One split: how many rows it has, and functions to read some and to describe its columns in an error message."""

    place: str  # for error messages: a path or a name
    count: int
    take: Callable[[Sequence[int]], list[Pair]]  # the rows with these indices
    describe_columns: Callable[[], str]


def make_rows(place: str, pairs: Sequence[Pair], describe_columns: Callable[[], str] = str) -> Rows:
    """Wrap rows that are in memory.

    Args:
        describe_columns: called only for an error message; the default is for data without named columns.

    Raises:
        DataError: there are no rows.
    """
    _require_rows(place, len(pairs))

    def take(indices: Sequence[int]) -> list[Pair]:
        return [pairs[i] for i in indices]

    return Rows(place=place, count=len(pairs), take=take, describe_columns=describe_columns)


def convert_dataset(place: str, dataset: Dataset, fields: ColumnNames) -> Rows:
    """Wrap a data set, whose rows stay on disk until they are read.

    Raises:
        DataError: a column is missing, or there are no rows.
    """
    require_columns(place, dataset.column_names, fields)
    _require_rows(place, len(dataset))
    columns = dataset.with_format(None).select_columns(list({fields.source, fields.target}))

    def take(indices: Sequence[int]) -> list[Pair]:
        block = columns[list(indices)]
        return list(zip(block[fields.source], block[fields.target], strict=True))

    return Rows(
        place=place,
        count=len(dataset),
        take=take,
        describe_columns=lambda: describe_columns(fields, dataset.column_names),
    )


def describe_columns(fields: ColumnNames, present: Sequence[str]) -> str:
    """Return a sentence that names the columns of the recipe and those of the data."""
    return f"Looked for {fields.source!r} and {fields.target!r}; the columns are {', '.join(map(repr, present))}. "


def require_columns(place: str, present: Sequence[str], fields: ColumnNames) -> None:
    """
    Raises:
        DataError: a column of `fields` is not among those present.
    """
    for role, name in (("source", fields.source), ("target", fields.target)):
        if name not in present:
            raise DataError(
                f"{place} has no column {name!r} for the {role}.{suggest(name, present)} "
                f"Name the right one: fields: {{{role}: NAME}}."
            )


def _require_rows(place: str, count: int) -> None:
    if count == 0:
        raise DataError(f"{place} has no rows. Give data with at least one example for each split.")
