"""The three splits: drawn from what the data has, cleaned, and kept apart.

Rows are drawn in a seeded order until a split has its size, so what is drawn does not depend on how much of it is
used: a smaller sample is part of a larger one, and test and validation stay the same whatever the size of train.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, get_args

from tuneoff.config.data import Clean, TextOptions
from tuneoff.data.cleaning import TextPair, UnusableRowError, clean_pair
from tuneoff.data.rows import Rows
from tuneoff.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

BLOCK_ROWS = 1000  # read at once: enough to be fast, little enough to waste nothing on a small sample
SHOWN = 3  # rows left out that are told with their reason


@dataclass
class Split:
    """The examples of one split in the order of the data, and what it met but did not take."""

    pairs: list[TextPair] = field(default_factory=list)
    left_out: int = 0
    left_out_examples: list[str] = field(default_factory=list)
    duplicates_removed: int = 0

    def leave_out(self, row: int, reason: str) -> None:
        self.left_out += 1
        if self.left_out <= SHOWN:
            self.left_out_examples.append(f"row {row + 1}: {reason}")  # rows are counted from 1, as people do


@dataclass(frozen=True)
class Splits:
    """The three splits, and how many examples two of them share, by "train-test" and the like.

    Train has lost what it shared. Validation and test keep theirs: taking it from either would change what is
    measured, so it is only told.
    """

    by_name: Mapping[SplitName, Split]
    duplicates: Mapping[str, int]


def draw_splits(rows: Mapping[str, Rows], options: TextOptions) -> Splits:
    """Test first, then validation, then train, so that train can leave out what the others hold.

    Args:
        rows: "train", and the other splits where the data has them; a missing one is drawn out of train.

    Raises:
        DataError: a split gets no example.
    """
    missing = [split for split in SPLITS if split not in rows]
    pools = {}
    for split in rows:
        shuffled = getattr(options.sizes, split) is not None or (split == "train" and bool(missing))
        pools[split] = _Pool(rows[split], options.clean, _shuffle(rows[split].count, options.seed, shuffled))
    drawn: dict[SplitName, Split] = {}
    duplicates: Counter[str] = Counter()
    for split in reversed(SPLITS):
        size = getattr(options.sizes, split)
        if split in missing and size is None:
            size = max(1, round(getattr(options.fractions, split) * rows["train"].count))
        pool = pools.get(split, pools["train"])
        drawn[split] = pool.draw(size, {name: set(other.pairs) for name, other in drawn.items()}, split, duplicates)
    return Splits(drawn, dict(duplicates))


class _Pool:
    """The rows of one place of the data, each handed out once, in a seeded order."""

    def __init__(self, rows: Rows, clean: Clean, order: Sequence[int]) -> None:
        self._rows, self._clean = rows, clean
        self._left = self._in_blocks(order)

    def _in_blocks(self, order: Sequence[int]) -> Iterator[tuple[int, tuple[object, object]]]:
        for start in range(0, len(order), BLOCK_ROWS):
            indices = order[start : start + BLOCK_ROWS]
            yield from zip(indices, self._rows.take(indices), strict=True)

    def draw(
        self, size: int | None, others: Mapping[SplitName, set[TextPair]], split: SplitName, duplicates: Counter[str]
    ) -> Split:
        """The next `size` usable examples, all that are left if None; shared ones are counted in `duplicates`."""
        found = Split()
        examples = dict(islice(self._usable(found, others, split, duplicates), size))
        if not examples:
            raise DataError(self._empty(split, found))
        found.pairs = [examples[row] for row in sorted(examples)]
        return found

    def _usable(
        self, found: Split, others: Mapping[SplitName, set[TextPair]], split: SplitName, duplicates: Counter[str]
    ) -> Iterator[tuple[int, TextPair]]:
        for row, values in self._left:
            try:
                pair = clean_pair(values, self._clean)
            except UnusableRowError as error:
                found.leave_out(row, str(error))
                continue
            shared = [name for name, pairs in others.items() if pair in pairs]
            duplicates.update(f"{split}-{name}" for name in shared)
            if shared and split == "train":
                found.duplicates_removed += 1
            else:
                yield row, pair

    def _empty(self, split: SplitName, found: Split) -> str:
        if found.left_out:
            reasons = "; ".join(found.left_out_examples)
            return (
                f"{self._rows.place} has no usable row for {split}: {found.left_out} left out ({reasons}). "
                f"{self._rows.columns()}Check `fields`, and that both columns hold text; "
                "numbers must be written as text, in quotes."
            )
        if found.duplicates_removed:
            return (
                f"{self._rows.place} has nothing for {split} that validation or test does not hold too. "
                "Give train examples of its own."
            )
        return (
            f"{self._rows.place} has too few rows: {self._rows.count}, and none is left for {split} once the others "
            "have taken theirs. Give more rows, or lower `sizes` or `fractions` of the splits made out of train."
        )


def _shuffle(count: int, seed: int, shuffled: bool) -> Sequence[int]:
    """The order in which rows are drawn; their own where all are used, which reads a disk fastest."""
    if not shuffled:
        return range(count)
    import numpy as np

    order: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return order
