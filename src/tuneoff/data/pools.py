"""The rows that splits are drawn from, in an order in which those that belong together follow each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from tuneoff.config.data import TextOptions
from tuneoff.data.cleaning import ExampleBuilder, clean_group
from tuneoff.data.example import Example, Row
from tuneoff.data.near_duplicates import NearDuplicates
from tuneoff.data.rows import Rows
from tuneoff.data.split import Split, SplitName
from tuneoff.data.values import MissingValueError, UnusableRowError, is_na_text
from tuneoff.errors import DataError

BLOCK_ROWS = 1000  # rows read at once: enough for speed, few enough for a small sample
MOST_ORDERED_ROWS = 250_000  # of a pool whose sources are all read, to keep rows with equal source together
# if near duplicates are reported and not removed: about 10 s and 150 MB
MOST_CHECKED = 50_000  # examples of train that are compared with the others
MOST_INDEXED = 20_000  # examples of the others, those of test first


class Content:
    """What a split that was drawn before contains."""

    def __init__(self, split: Split) -> None:
        self.texts, self.groups = {example.content for example in split.examples}, set(split.groups)
        self.origins = {example.origin for example in split.examples if example.origin}


class Evaluated:
    """What all splits contain that were drawn before, by name."""

    def __init__(self, splits: Mapping[SplitName, Split], options: TextOptions) -> None:
        self.by_name = {name: Content(split) for name, split in splits.items()}
        read = [_get_read(e) for name in ("test", "validation") if name in splits for e in splits[name].examples]
        self.indexed = read if options.near_duplicates == "remove" else read[:MOST_INDEXED]

    @cached_property
    def near(self) -> NearDuplicates:
        """An index of their sources."""
        return NearDuplicates(self.indexed)


@dataclass(frozen=True)
class Shared:
    """The rows that two splits share, or whose group or source they share, by "train-test" and the like."""

    duplicates: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)


class Pool:
    """The rows of one split of the data. Each row is drawn at most once, in a given order."""

    def __init__(self, rows: Rows, builder: ExampleBuilder, order: Sequence[int]) -> None:
        self._rows, self._builder, self._options = rows, builder, builder.options
        self._remaining = self._read_in_blocks(order)
        self._drawn: set[SplitName] = set()  # the splits that were drawn from these rows

    def _read_in_blocks(self, order: Sequence[int]) -> Iterator[tuple[int, Row]]:
        for start in range(0, len(order), BLOCK_ROWS):
            indices = order[start : start + BLOCK_ROWS]
            yield from zip(indices, self._rows.take(indices), strict=True)

    def draw(self, name: SplitName, size: int | None, others: Evaluated, shared: Shared) -> Split:
        """Draw the next `size` usable examples, or all if None. What others have too is counted in `shared`.

        Raises:
            DataError: there is none, or more than half of the rows are not usable.
        """
        split = Split()
        examples = dict(islice(self._iterate_usable(name, split, others, shared), size))
        self._drawn.add(name)
        if not examples:
            raise DataError(self._explain_empty(name, split))
        if split.left_out_share(len(examples)) > 0.5 and not self._options.allow_left_out:
            raise DataError(self._explain_left_out(name, split, len(examples)))
        split.rows = sorted(examples)
        split.examples = [examples[row] for row in split.rows]
        return split

    def iterate_rest(self, evaluated: Evaluated) -> Iterator[tuple[int, Example]]:
        """Yield the further examples for train in the order of drawing, read when they are needed."""
        yield from self._iterate_usable("train", Split(), evaluated, Shared())

    def _iterate_usable(
        self, name: SplitName, split: Split, others: Evaluated, shared: Shared
    ) -> Iterator[tuple[int, Example]]:
        for row, values in self._remaining:
            example = self._build(row, values, split)
            if example is None or self._is_shared(name, example, split, others, shared):
                continue
            if name == "train" and self._is_removed_as_near(example, split, others):
                continue
            split.count_na_text(row, example.target if is_na_text(example.target) else None)
            yield row, example

    def _build(self, row: int, values: Row, split: Split) -> Example | None:
        try:
            return self._builder.build(values)
        except MissingValueError as error:
            if self._options.na == "refuse":
                raise DataError(
                    f"{self._rows.place}, row {row + 1}: {error}. Fill it in, or write data.na: leave-out."
                ) from None
            split.leave_out(row, str(error))
        except UnusableRowError as error:
            split.leave_out(row, str(error))
        return None

    def _is_shared(self, name: SplitName, example: Example, split: Split, others: Evaluated, shared: Shared) -> bool:
        """Return whether an example is no part of the split, because another split has it, its group or its source."""
        sharing = [other for other, content in others.by_name.items() if example.content in content.texts]
        shared.duplicates.update(f"{name}-{other}" for other in sharing)
        if sharing and name == "train":
            split.duplicates_removed += 1
            return True
        of_group = [other for other, content in others.by_name.items() if example.group in content.groups]
        if of_group and (name == "train" or self._drawn.intersection(of_group)):
            split.groups_removed += 1
            return True
        of_source = [other for other, content in others.by_name.items() if example.origin in content.origins]
        if other_targets := [other for other in of_source if other not in sharing]:
            shared.sources.update(f"{name}-{other}" for other in other_targets)
        is_grouped = self._options.equal_sources == "group"
        if is_grouped and of_source and (name == "train" or self._drawn.intersection(of_source)):
            split.sources_removed += 1
            return True
        shared.groups.update(f"{name}-{other}" for other in of_group)
        return False

    def _is_removed_as_near(self, example: Example, split: Split, others: Evaluated) -> bool:
        removes = self._options.near_duplicates == "remove"
        if not removes and split.near_checked >= MOST_CHECKED:
            return False
        split.near_checked += 1
        split.near_indexed = len(others.indexed)
        is_near = others.near.has_near(_get_read(example))
        split.near_duplicates += is_near
        return is_near and removes

    def _explain_empty(self, name: SplitName, split: Split) -> str:
        place = self._rows.place
        if split.groups_removed:
            return (
                f"{place} has no row for {name} whose group is not in another split already: "
                f"{split.groups_removed} left out. Give rows of more groups, lower `sizes` or `fractions` of the other "
                "splits, or name another column in fields.group."
            )
        if split.sources_removed:
            return (
                f"{place} has no row for {name} whose source is not in another split already: "
                f"{split.sources_removed} left out. Give rows with more different sources, lower `sizes` or "
                "`fractions` of the other splits, or write data.equal_sources: separate, if the source says nothing "
                "about the target."
            )
        if split.left_out:
            return (
                f"{place} has no usable row for {name}: {split.left_out} left out "
                f"({'; '.join(split.left_out_examples)}). {self._describe_columns()}Check data.fields and data.shape."
            )
        if split.duplicates_removed or split.near_duplicates:
            return f"{place} has only rows for {name} that are in validation or test too. Give train other examples."
        return (
            f"{place} has too few rows: {self._rows.count}, and none remains for {name} after the other "
            "splits. Give more rows, or lower `sizes` or `fractions` of the splits that are taken out of train."
        )

    def _explain_left_out(self, name: SplitName, split: Split, used: int) -> str:
        return (
            f"{self._rows.place}: {split.left_out:,} of {split.left_out + used:,} rows for {name} are no usable "
            f"examples ({'; '.join(split.left_out_examples)}). {self._describe_columns()}Check data.fields; write "
            "data.empty_targets: keep, if an empty answer is right; or data.allow_left_out: true, to go on without "
            "these rows."
        )

    def _describe_columns(self) -> str:
        read = ", ".join(
            f"the {role} from {'.'.join((c.name, *c.path))!r}" for role, c in self._builder.columns.items()
        )
        return f"Read {read}; the columns are {', '.join(map(repr, self._rows.columns))}. "


def order_rows(rows: Rows, builder: ExampleBuilder, *, is_shuffled: bool, keeps_together: bool) -> Sequence[int]:
    """Return the order in which to draw rows. Without a sample it is the order of the data, the fastest to read.

    Args:
        keeps_together: whether rows of one group, or with equal source, follow each other, in the order of the data.
            Groups are drawn with equal chances, however many rows they have.
    """
    if not is_shuffled:
        return range(rows.count)
    import numpy as np

    generator = np.random.default_rng(builder.options.seed)
    keys = _list_keys(rows, builder) if keeps_together else None
    if keys is None or ("group" not in builder.columns and len(set(keys)) == rows.count):
        order: list[int] = generator.permutation(rows.count).tolist()
        return order
    different = list(dict.fromkeys(keys))
    places = dict(zip(different, generator.permutation(len(different)).tolist(), strict=True))
    return sorted(range(rows.count), key=lambda row: places[keys[row]])


def _list_keys(rows: Rows, builder: ExampleBuilder) -> list[Hashable] | None:
    """Return what each row belongs to: its group, or its source; None if the rows are not grouped."""
    if "group" in builder.columns:
        column = builder.columns["group"]
        return [_get_group_key(column.get(row)) for row in rows.iterate()]
    if builder.options.equal_sources == "separate" or rows.count > MOST_ORDERED_ROWS:
        return None
    return [_get_source_key(builder.build, row, number) for number, row in enumerate(rows.iterate())]


def _get_group_key(value: object) -> str:
    try:
        return clean_group(value)
    except UnusableRowError:
        return ""  # such a row is left out when it is drawn


def _get_source_key(build: Callable[[Row], Example], row: Row, number: int) -> Hashable:
    """Return a hash of the source, which takes less memory; a row without one is on its own."""
    try:
        source = build(row).origin
    except UnusableRowError:
        source = ""
    return hash(source) if source else (number,)


def _get_read(example: Example) -> str:
    """Return the source, or the text itself if there is none."""
    return example.source or example.target
