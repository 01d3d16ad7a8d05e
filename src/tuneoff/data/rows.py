"""The rows of one split as they were found, before anyone has asked whether they are text.

A row is reached by its index, so that a sample of a large data set costs no more than the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.config.data import Fields
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset

Pair = tuple[object, object]  # source and target, any value: a number and a null are found out later


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One split: where it stands, in words for a message, how many rows, and the rows at some indices."""

    place: str
    count: int
    take: Callable[[Sequence[int]], list[Pair]]
    columns: Callable[[], str]  # which were looked for and which there are, in words for a message


def make_rows(place: str, pairs: Sequence[Pair], columns: Callable[[], str] = str) -> Rows:
    """Rows that are already in memory.

    Args:
        columns: as in `Rows`; asked only for an error, and nothing where the user names no columns.

    Raises:
        DataError: there is none.
    """
    _require_rows(place, len(pairs))
    return Rows(place=place, count=len(pairs), take=lambda indices: [pairs[i] for i in indices], columns=columns)


def convert_dataset(place: str, dataset: Dataset, fields: Fields) -> Rows:
    """Rows that stay on disk until they are asked for.

    Raises:
        DataError: a column is missing, or there is no row.
    """
    require_columns(place, dataset.column_names, fields)
    _require_rows(place, len(dataset))
    columns = dataset.with_format(None).select_columns(list({fields.source, fields.target}))

    def take(indices: Sequence[int]) -> list[Pair]:
        block = columns[list(indices)]
        return list(zip(block[fields.source], block[fields.target], strict=True))

    return Rows(
        place=place, count=len(dataset), take=take, columns=lambda: describe_columns(fields, dataset.column_names)
    )


def describe_columns(fields: Fields, present: Sequence[str]) -> str:
    """Which columns were looked for, and which there are."""
    return f"Looked for {fields.source!r} and {fields.target!r}; the columns are {', '.join(map(repr, present))}. "


def require_columns(place: str, present: Sequence[str], fields: Fields) -> None:
    """
    Raises:
        DataError: a column that `fields` names is not among those present.
    """
    for role, name in (("source", fields.source), ("target", fields.target)):
        if name not in present:
            raise DataError(
                f"{place} has no column {name!r}, which is to be the {role}.{suggest(name, present)} "
                f"Name the right one: fields: {{{role}: NAME}}."
            )


def _require_rows(place: str, count: int) -> None:
    if count == 0:
        raise DataError(f"{place} has no rows. Give data with at least one example for each split.")
