"""The rows of one split before cleaning: any values, not necessarily text.

Rows are read by their index, so that a sample of a large data set costs no more than the sample.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tuneoff.data.example import Row
from tuneoff.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

BLOCK_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One split: how many rows it has, and a function to read some of them."""

    place: str  # for error messages: a path or a name
    count: int
    columns: tuple[str, ...]  # their names, in the order of the data, and those of `shown_by`
    take: Callable[[Sequence[int]], list[Row]]  # the rows with these indices
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names of the classes of a ClassLabel column
    shown_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # columns that are a path into another one
    notes: tuple[str, ...] = ()  # sentences for the user: what was assumed about the files
    files: tuple[str, ...] = ()  # what each file is: "a.csv: separated by semicolons, cp1252, 20 rows"

    @property
    def own_columns(self) -> tuple[str, ...]:
        """The columns that the data themselves name."""
        return tuple(name for name in self.columns if name not in self.shown_by)

    def iterate_column(self, name: str) -> Iterator[Any]:  # Any: columns hold anything
        """Yield the values of one column, without keeping the rows in memory."""
        yield from (row.get(name) for row in self.iterate())

    def iterate(self) -> Iterator[Row]:
        """Yield all rows, without keeping them in memory."""
        for start in range(0, self.count, BLOCK_ROWS):
            yield from self.take(range(start, min(start + BLOCK_ROWS, self.count)))

    def add_notes(self, *notes: str) -> Rows:
        """Return the same rows with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def make_rows(place: str, rows: Sequence[Row]) -> Rows:
    """Wrap rows that are in memory. A key that only some rows have is a missing value in the others.

    Raises:
        DataError: there are no rows.
    """
    require_rows(place, len(rows))

    def take(indices: Sequence[int]) -> list[Row]:
        return [rows[i] for i in indices]

    return Rows(place=place, count=len(rows), columns=tuple({key: None for row in rows for key in row}), take=take)


def convert_dataset(place: str, dataset: Dataset) -> Rows:
    """Wrap a data set, whose rows stay on disk until they are read.

    Raises:
        DataError: there are no rows.
    """
    from datasets import ClassLabel

    require_rows(place, len(dataset))
    binary = [
        name for name, field in zip(dataset.column_names, dataset.data.schema, strict=True) if _is_binary(field.type)
    ]
    readable = dataset.remove_columns(binary).with_format("arrow")

    def take(indices: Sequence[int]) -> list[Row]:
        rows: list[Row] = readable[list(indices)].to_pylist()
        return rows

    features = readable.features
    return Rows(
        place=place,
        count=len(dataset),
        columns=tuple(readable.column_names),
        take=take,
        labels={name: tuple(feature.names) for name, feature in features.items() if isinstance(feature, ClassLabel)},
        notes=(f"{place}: {', '.join(binary)} left out, because they hold bytes and not text.",) if binary else (),
    )


def join_rows(place: str, parts: Sequence[Rows]) -> Rows:
    """Put the rows of several files one after another. A column that only some have is a missing value in the others.

    Raises:
        DataError: a column has classes with different names.
    """
    if len(parts) == 1:
        return parts[0]
    starts = [0, *accumulate(part.count for part in parts)]

    def take(indices: Sequence[int]) -> list[Row]:
        taken: dict[int, Row] = {}
        of_parts: dict[int, list[int]] = {}
        for index in indices:
            of_parts.setdefault(bisect_right(starts, index) - 1, []).append(index)
        for number, some in of_parts.items():
            taken.update(zip(some, parts[number].take([index - starts[number] for index in some]), strict=True))
        return [taken[index] for index in indices]

    labels: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for name, classes in part.labels.items():
            if labels.setdefault(name, classes) != classes:
                raise DataError(f"{part.place}: the classes of {name!r} are others than in {parts[0].place}.")
    return Rows(
        place=place,
        count=starts[-1],
        columns=tuple(dict.fromkeys(name for part in parts for name in part.columns)),
        take=take,
        labels=labels,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        files=tuple(file for part in parts for file in part.files),
    )


def require_rows(place: str, count: int) -> None:
    """
    Raises:
        DataError: there are no rows.
    """
    if count == 0:
        raise DataError(f"{place} has no rows. Give data with at least one example for each split.")


def _is_binary(kind: Any) -> bool:  # Any: a type of pyarrow, which ships no types
    """Return whether a column holds bytes, such as pictures, also inside structs and lists."""
    import pyarrow.types

    if pyarrow.types.is_struct(kind):
        return any(_is_binary(field.type) for field in kind)
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return _is_binary(kind.value_type)
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))
