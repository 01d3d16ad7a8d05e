"""Train samples of replicates: several samples of one size from all examples for train.

A score that is averaged over such samples is about the method on data like these, not on one train split. Source:
Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks", arXiv:2103.03098.

Sample 0 is the train split of the recipe, on which a search chooses. The next samples take the next examples in the
order of drawing, so they share nothing while the examples last, and only as many rows are read as are needed. After
that the examples are shuffled again and divided again: samples of one shuffle share no example, those of two shuffles
share a part. A sample depends on its number but not on how many there are, so replicates can be added to a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

from tuneoff.data.example import Example
from tuneoff.data.splits import Split
from tuneoff.errors import DataError

MIN_POOL = 2  # examples to draw from, as a multiple of the sample; with fewer, all samples would be nearly the same


@dataclass(frozen=True, kw_only=True)
class DrawnSamples:
    """The examples of each sample in the order of the data, by its number."""

    examples: Mapping[int, list[Example]]
    pool_examples: int | None  # that were drawn from; None: more than the samples needed
    overlap: float  # share of the examples of a sample that another one has too, mean over all pairs of samples


def draw_train_samples(
    train: Split, more: Iterator[tuple[int, Example]], size: int, numbers: Sequence[int], seed: int
) -> DrawnSamples:
    """Draw the samples with these numbers.

    Args:
        train: the train split, which is sample 0.
        more: further examples in the order of drawing, with the index of their row.
        size: examples of a sample.
        seed: of the shuffles after the first.

    Raises:
        DataError: there are not twice as many examples as in a sample.
    """
    needed = size * (max(numbers) + 1)
    pool = [*zip(train.rows, train.examples, strict=True)]
    pool += islice(more, needed - len(pool))
    is_exhausted = len(pool) < needed
    if len(pool) < MIN_POOL * size:
        raise DataError(
            f"Replicates need at least twice as many examples to draw from as a train sample has, or all samples would "
            f"be nearly the same: there are {len(pool):,} examples for train, and data.sizes.train is {size:,}. "
            f"Lower data.sizes.train to {len(pool) // MIN_POOL:,} or less, give more rows for train, or write seeds "
            "instead of replicates."
        )
    drawn = {number: _choose_positions(len(pool), size, number, seed) for number in numbers}
    return DrawnSamples(
        examples={
            number: [example for _, example in sorted((pool[i] for i in chosen), key=itemgetter(0))]
            for number, chosen in drawn.items()
        },
        pool_examples=len(pool) if is_exhausted else None,
        overlap=_compute_overlap(list(drawn.values()), size),
    )


def _choose_positions(pool_examples: int, size: int, number: int, seed: int) -> list[int]:
    """Return which examples of the pool a sample consists of."""
    import numpy as np

    shuffle, part = divmod(number, pool_examples // size)
    order = np.random.default_rng([seed, shuffle]).permutation(pool_examples) if shuffle else np.arange(pool_examples)
    positions: list[int] = order[part * size : (part + 1) * size].tolist()
    return positions


def _compute_overlap(samples: Sequence[Sequence[int]], size: int) -> float:
    """Return the mean share of common examples over all pairs of samples; 0 for a single one."""
    if len(samples) < 2:
        return 0.0
    common = sum(count * (count - 1) for count in Counter(i for sample in samples for i in sample).values())
    return common / (len(samples) * (len(samples) - 1) * size)
