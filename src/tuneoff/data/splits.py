"""The three splits: sampled, cleaned, and without duplicates between train and the others.

Rows are drawn in a seeded order until a split has its size. What is drawn first does not depend on the size, so a
smaller sample is part of a larger one, and test and validation are the same for every size of train.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, get_args

from tuneoff.config.data import CleaningOptions, TextOptions
from tuneoff.data.cleaning import TextPair, UnusableRowError, clean_pair
from tuneoff.data.rows import Pair, Rows
from tuneoff.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

BLOCK_ROWS = 1000  # rows read at once: enough for speed, few enough for a small sample
MAX_EXAMPLES = 3  # rows left out that are listed with their reason


@dataclass
class Split:
    """The examples of one split in the order of the data, and counts of the rows that it left out."""

    pairs: list[TextPair] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # their indices in the data
    left_out: int = 0
    left_out_examples: list[str] = field(default_factory=list)
    duplicates_removed: int = 0

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
    more_train: Iterator[tuple[int, TextPair]] = field(default_factory=lambda: iter(()))  # what a sample of train left


def draw_splits(rows: Mapping[str, Rows], options: TextOptions) -> Splits:
    """Draw test first, then validation, then train, so that train can leave out what the others contain.

    Args:
        rows: "train", and the other splits if the data has them; a missing one is taken out of train.

    Raises:
        DataError: a split has no example.
    """
    missing = [name for name in SPLITS if name not in rows]
    pools = {}
    for name in rows:
        is_shuffled = getattr(options.sizes, name) is not None or (name == "train" and bool(missing))
        order = _order_rows(rows[name].count, options.seed, is_shuffled)
        pools[name] = _Pool(rows[name], options.clean, order)
    splits: dict[SplitName, Split] = {}
    duplicates: Counter[str] = Counter()
    for name in reversed(SPLITS):
        size = getattr(options.sizes, name)
        if name in missing and size is None:
            size = max(1, round(getattr(options.fractions, name) * rows["train"].count))
        pool = pools.get(name, pools["train"])
        others = {other: set(split.pairs) for other, split in splits.items()}
        splits[name] = pool.draw(name, size, others, duplicates)
    evaluated: dict[SplitName, set[TextPair]] = {n: set(split.pairs) for n, split in splits.items() if n != "train"}
    return Splits(splits, dict(duplicates), pools["train"].iterate_rest(evaluated))


class _Pool:
    """The rows of one split of the data. Each row is drawn at most once, in a given order."""

    def __init__(self, rows: Rows, clean: CleaningOptions, order: Sequence[int]) -> None:
        self._rows, self._clean = rows, clean
        self._remaining = self._read_in_blocks(order)

    def _read_in_blocks(self, order: Sequence[int]) -> Iterator[tuple[int, Pair]]:
        for start in range(0, len(order), BLOCK_ROWS):
            indices = order[start : start + BLOCK_ROWS]
            yield from zip(indices, self._rows.take(indices), strict=True)

    def draw(
        self, name: SplitName, size: int | None, others: Mapping[SplitName, set[TextPair]], duplicates: Counter[str]
    ) -> Split:
        """Draw the next `size` usable examples, or all if None. Shared examples are counted in `duplicates`."""
        split = Split()
        examples = dict(islice(self._iterate_usable(name, split, others, duplicates), size))
        if not examples:
            raise DataError(self._explain_empty(name, split))
        split.rows = sorted(examples)
        split.pairs = [examples[row] for row in split.rows]
        return split

    def iterate_rest(self, evaluated: Mapping[SplitName, set[TextPair]]) -> Iterator[tuple[int, TextPair]]:
        """Yield the further examples for train in the order of drawing, read when they are needed."""
        yield from self._iterate_usable("train", Split(), evaluated, Counter())

    def _iterate_usable(
        self, name: SplitName, split: Split, others: Mapping[SplitName, set[TextPair]], duplicates: Counter[str]
    ) -> Iterator[tuple[int, TextPair]]:
        for row, values in self._remaining:
            try:
                pair = clean_pair(values, self._clean)
            except UnusableRowError as error:
                split.leave_out(row, str(error))
                continue
            sharing = [other for other, pairs in others.items() if pair in pairs]
            duplicates.update(f"{name}-{other}" for other in sharing)
            if sharing and name == "train":
                split.duplicates_removed += 1
            else:
                yield row, pair

    def _explain_empty(self, name: SplitName, split: Split) -> str:
        if split.left_out:
            reasons = "; ".join(split.left_out_examples)
            return (
                f"{self._rows.place} has no usable row for {name}: {split.left_out} left out ({reasons}). "
                f"{self._rows.describe_columns()}Check `fields`, and that both columns contain text; "
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


def _order_rows(count: int, seed: int, is_shuffled: bool) -> Sequence[int]:
    """Return the order in which to draw rows. Without a sample it is the order of the data, the fastest to read."""
    if not is_shuffled:
        return range(count)
    import numpy as np

    order: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return order
