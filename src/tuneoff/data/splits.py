"""The three splits: sampled, cleaned, and without duplicates or common groups between train and the others.

Rows are drawn in a seeded order until a split has its size. What is drawn first does not depend on the size, so a
smaller sample is part of a larger one, and test and validation are the same for every size of train.

If the data has groups, and splits are taken out of train, whole groups are drawn. Of the last group of a split only as
many rows are used as fit, and the rest of it is in no other split.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, get_args

from tuneoff.config.data import TextOptions, get_fields
from tuneoff.data.cleaning import UnusableRowError, build_example, clean_group
from tuneoff.data.example import Example, Row
from tuneoff.data.rows import Rows, describe_columns, require_columns
from tuneoff.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

BLOCK_ROWS = 1000  # rows read at once: enough for speed, few enough for a small sample
MAX_EXAMPLES = 3  # rows left out that are listed with their reason


@dataclass
class Split:
    """The examples of one split in the order of the data, and counts of the rows that it left out."""

    examples: list[Example] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # their indices in the data
    left_out: int = 0
    left_out_examples: list[str] = field(default_factory=list)
    duplicates_removed: int = 0
    groups_removed: int = 0  # rows whose group is in another split

    @property
    def groups(self) -> list[str]:
        """The groups of the examples; empty if every row is on its own."""
        return [example.group for example in self.examples if example.group is not None]

    def leave_out(self, row: int, reason: str) -> None:
        """Count a row without usable text. `row` counts from 0, the message from 1."""
        self.left_out += 1
        if self.left_out <= MAX_EXAMPLES:
            self.left_out_examples.append(f"row {row + 1}: {reason}")


@dataclass(frozen=True)
class Splits:
    """The three splits, and the number of examples that two of them share, by "train-test" and the like.

    Shared examples are removed from train. Validation and test keep theirs, because removing them from either would
    change what is measured; they are only counted.
    """

    by_name: Mapping[SplitName, Split]
    duplicates: Mapping[str, int]
    shared_groups: Mapping[str, int]  # rows of validation whose group is in test too, if the data has both splits
    more_train: Iterator[tuple[int, Example]] = field(default_factory=lambda: iter(()))  # what a sample of train left


def draw_splits(rows: Mapping[str, Rows], options: TextOptions) -> Splits:
    """Draw test first, then validation, then train, so that train can leave out what the others contain.

    Args:
        rows: "train", and the other splits if the data has them; a missing one is taken out of train.

    Raises:
        DataError: a column is missing, or a split has no example.
    """
    fields = get_fields(options)
    for of_split in rows.values():
        require_columns(of_split.place, of_split.columns, fields)
    missing = [name for name in SPLITS if name not in rows]
    pools = {}
    for name in rows:
        is_shuffled = getattr(options.sizes, name) is not None or (name == "train" and bool(missing))
        group = fields.group if name == "train" and missing else None
        order = _order_rows(rows[name], options.seed, is_shuffled, group)
        pools[name] = _Pool(rows[name], options, order)
    splits: dict[SplitName, Split] = {}
    counts = _Shared()
    for name in reversed(SPLITS):
        size = getattr(options.sizes, name)
        if name in missing and size is None:
            size = max(1, round(getattr(options.fractions, name) * rows["train"].count))
        pool = pools.get(name, pools["train"])
        splits[name] = pool.draw(name, size, {other: _Content(split) for other, split in splits.items()}, counts)
    _require_several_groups(splits["test"])
    evaluated: dict[SplitName, _Content] = {name: _Content(split) for name, split in splits.items() if name != "train"}
    rest = pools["train"].iterate_rest(evaluated)
    return Splits(splits, dict(counts.duplicates), dict(counts.groups), rest)


def _require_several_groups(test: Split) -> None:
    """Refuse a test split of one group: with it, no interval could be told from the scores."""
    if len(set(test.groups)) == 1:
        raise DataError(
            f"All {len(test.groups)} test examples belong to one group, {test.groups[0]!r}, so nothing would show how "
            "scores vary from group to group. Raise sizes.test, name another column in fields.group, or leave it out."
        )


class _Content:
    """What a split that was drawn before contains."""

    def __init__(self, split: Split) -> None:
        self.texts, self.groups = {example.content for example in split.examples}, set(split.groups)


@dataclass(frozen=True)
class _Shared:
    """The rows that two splits share, or whose group they share, by "train-test" and the like."""

    duplicates: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)


class _Pool:
    """The rows of one split of the data. Each row is drawn at most once, in a given order."""

    def __init__(self, rows: Rows, options: TextOptions, order: Sequence[int]) -> None:
        self._rows, self._fields, self._clean = rows, get_fields(options), options.clean
        self._remaining = self._read_in_blocks(order)
        self._drawn: set[SplitName] = set()  # the splits that were drawn from these rows

    def _read_in_blocks(self, order: Sequence[int]) -> Iterator[tuple[int, Row]]:
        for start in range(0, len(order), BLOCK_ROWS):
            indices = order[start : start + BLOCK_ROWS]
            yield from zip(indices, self._rows.take(indices), strict=True)

    def draw(self, name: SplitName, size: int | None, others: Mapping[SplitName, _Content], shared: _Shared) -> Split:
        """Draw the next `size` usable examples, or all if None. What others have too is counted in `shared`."""
        split = Split()
        usable = islice(self._iterate_usable(name, split, others, shared), size)
        examples = dict(usable)
        self._drawn.add(name)
        if not examples:
            raise DataError(self._explain_empty(name, split))
        split.rows = sorted(examples)
        split.examples = [examples[row] for row in split.rows]
        return split

    def iterate_rest(self, evaluated: Mapping[SplitName, _Content]) -> Iterator[tuple[int, Example]]:
        """Yield the further examples for train in the order of drawing, read when they are needed."""
        yield from self._iterate_usable("train", Split(), evaluated, _Shared())

    def _iterate_usable(
        self, name: SplitName, split: Split, others: Mapping[SplitName, _Content], shared: _Shared
    ) -> Iterator[tuple[int, Example]]:
        for row, values in self._remaining:
            try:
                example = build_example(values, self._fields, self._clean)
            except UnusableRowError as error:
                split.leave_out(row, str(error))
                continue
            sharing = [other for other, content in others.items() if example.content in content.texts]
            shared.duplicates.update(f"{name}-{other}" for other in sharing)
            if sharing and name == "train":
                split.duplicates_removed += 1
                continue
            of_group = [other for other, content in others.items() if example.group in content.groups]
            if of_group and (name == "train" or self._drawn.intersection(of_group)):
                split.groups_removed += 1
                continue
            shared.groups.update(f"{name}-{other}" for other in of_group)
            yield row, example

    def _explain_empty(self, name: SplitName, split: Split) -> str:
        if split.groups_removed:
            return (
                f"{self._rows.place} has no row for {name} whose group is not in another split already: "
                f"{split.groups_removed} left out. Give rows of more groups, lower `sizes` or `fractions` of the other "
                "splits, or name another column in fields.group."
            )
        if split.left_out:
            reasons = "; ".join(split.left_out_examples)
            return (
                f"{self._rows.place} has no usable row for {name}: {split.left_out} left out ({reasons}). "
                f"{describe_columns(self._rows, self._fields)}Check `fields`, and that both columns contain text; "
                "numbers must be written as text, in quotes."
            )
        if split.duplicates_removed:
            return (
                f"{self._rows.place} has only rows for {name} that are in validation or test too. "
                "Give train other examples."
            )
        return (
            f"{self._rows.place} has too few rows: {self._rows.count}, and none remains for {name} after the other "
            "splits. Give more rows, or lower `sizes` or `fractions` of the splits that are taken out of train."
        )


def _order_rows(rows: Rows, seed: int, is_shuffled: bool, group: str | None) -> Sequence[int]:
    """Return the order in which to draw rows. Without a sample it is the order of the data, the fastest to read.

    Args:
        group: the column of the groups, to keep the rows of a group together, in the order of the data. Groups are
            drawn with equal chances, however many rows they have.
    """
    if not is_shuffled:
        return range(rows.count)
    import numpy as np

    generator = np.random.default_rng(seed)
    if group is None:
        order: list[int] = generator.permutation(rows.count).tolist()
        return order
    groups = [_get_group_key(value) for value in rows.iterate_column(group)]
    different = list(dict.fromkeys(groups))
    places = dict(zip(different, generator.permutation(len(different)).tolist(), strict=True))
    return sorted(range(rows.count), key=lambda row: places[groups[row]])


def _get_group_key(value: object) -> str:
    try:
        return clean_group(value)
    except UnusableRowError:
        return ""  # such a row is left out when it is drawn
