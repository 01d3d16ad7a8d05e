"""The rows of one split before cleaning: any values, not necessarily text.

Rows are read by their index, so that a sample of a large data set costs no more than the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuneoff.config.data import ColumnNames
from tuneoff.data.example import Row
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One split: how many rows it has, and a function to read some of them."""

    place: str  # for error messages: a path or a name
    count: int
    columns: tuple[str, ...]  # their names, in the order of the data
    take: Callable[[Sequence[int]], list[Row]]  # the rows with these indices
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names of the classes of a ClassLabel column


def make_rows(place: str, rows: Sequence[Row]) -> Rows:
    """Wrap rows that are in memory. A key that only some rows have is a missing value in the others.

    Raises:
        DataError: there are no rows.
    """
    _require_rows(place, len(rows))

    def take(indices: Sequence[int]) -> list[Row]:
        return [rows[i] for i in indices]

    return Rows(place=place, count=len(rows), columns=tuple({key: None for row in rows for key in row}), take=take)


def convert_dataset(place: str, dataset: Dataset) -> Rows:
    """Wrap a data set, whose rows stay on disk until they are read.

    Raises:
        DataError: there are no rows.
    """
    from datasets import ClassLabel

    _require_rows(place, len(dataset))
    plain = dataset.with_format(None)

    def take(indices: Sequence[int]) -> list[Row]:
        block = plain[list(indices)]
        return [dict(zip(block, values, strict=True)) for values in zip(*block.values(), strict=True)]

    return Rows(
        place=place,
        count=len(dataset),
        columns=tuple(dataset.column_names),
        take=take,
        labels={
            name: tuple(feature.names) for name, feature in dataset.features.items() if isinstance(feature, ClassLabel)
        },
    )


def describe_columns(rows: Rows, fields: ColumnNames) -> str:
    """Return a sentence that names the columns of the recipe and those of the data."""
    return f"Looked for {' and '.join(map(repr, fields.names))}; the columns are {', '.join(map(repr, rows.columns))}. "


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
