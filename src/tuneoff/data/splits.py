"""The three splits: sampled, cleaned, and without duplicates or common groups between train and the others.

Rows are drawn in a seeded order until a split has its size. What is drawn first does not depend on the size, so a
smaller sample is part of a larger one, and test and validation are the same for every size of train.

If the data has groups, or rows with equal source, and splits are taken out of train, whole groups are drawn. Of the
last group of a split only as many rows are used as fit, and the rest of it is in no other split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tuneoff.config.data import TextOptions
from tuneoff.data.cleaning import make_builder
from tuneoff.data.example import Example
from tuneoff.data.pools import Evaluated, Pool, Shared, order_rows
from tuneoff.data.rows import Rows
from tuneoff.data.shapes.recognize import ChosenShape, choose_shape
from tuneoff.data.split import SPLITS, Split, SplitName
from tuneoff.errors import DataError

__all__ = ["SPLITS", "Split", "SplitName", "Splits", "draw_splits"]


@dataclass(frozen=True)
class Splits:
    """The three splits, and the number of examples that two of them share, by "train-test" and the like.

    Shared examples are removed from train. Validation and test keep theirs, because removing them from either would
    change what is measured; they are only counted.
    """

    by_name: Mapping[SplitName, Split]
    duplicates: Mapping[str, int]
    shared_groups: Mapping[str, int]  # rows of validation whose group is in test too, if the data has both splits
    shared_sources: Mapping[str, int]  # rows whose source is in the other split with another target
    shape: ChosenShape
    groups_by_source: bool  # the groups are those of equal sources, and not of a column
    more_train: Iterator[tuple[int, Example]] = field(default_factory=lambda: iter(()))  # what a sample of train left


def draw_splits(rows: Mapping[str, Rows], options: TextOptions) -> Splits:
    """Draw test first, then validation, then train, so that train can leave out what the others contain.

    Args:
        rows: "train", and the other splits if the data has them; a missing one is taken out of train.

    Raises:
        DataError: a column is missing, a split has no example, or most of its rows are not usable.
    """
    shape = choose_shape(rows["train"], options)
    missing = [name for name in SPLITS if name not in rows]
    pools = {}
    for name in rows:
        builder = make_builder(rows[name], shape, options)
        is_divided = name == "train" and bool(missing)
        is_shuffled = getattr(options.sizes, name) is not None or is_divided
        order = order_rows(rows[name], builder, is_shuffled=is_shuffled, keeps_together=is_divided)
        pools[name] = Pool(rows[name], builder, order)
    splits: dict[SplitName, Split] = {}
    shared = Shared()
    for name in reversed(SPLITS):
        size = getattr(options.sizes, name)
        if name in missing and size is None:
            size = max(1, round(getattr(options.fractions, name) * rows["train"].count))
        splits[name] = pools.get(name, pools["train"]).draw(name, size, Evaluated(splits, options), shared)
    evaluated: dict[SplitName, Split] = {name: split for name, split in splits.items() if name != "train"}
    rest = pools["train"].iterate_rest(Evaluated(evaluated, options))
    by_source = _group_equal_sources(splits, options) if shape.group is None else False
    _require_several_groups(splits["test"], by_source=by_source)
    return Splits(
        by_name=splits,
        duplicates=dict(shared.duplicates),
        shared_groups=dict(shared.groups),
        shared_sources=dict(shared.sources),
        shape=shape,
        groups_by_source=by_source,
        more_train=rest,
    )


def _group_equal_sources(splits: Mapping[SplitName, Split], options: TextOptions) -> bool:
    """Make examples with equal source a group, if there are some in validation or test. Return whether there are."""
    if options.equal_sources == "separate" or not any(splits[n].has_equal_sources for n in ("validation", "test")):
        return False
    for split in splits.values():
        split.examples = [replace(example, group=_name_source(example.origin)) for example in split.examples]
    return True


def _name_source(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _require_several_groups(test: Split, *, by_source: bool) -> None:
    """Refuse a test split of one group: with it, no interval could be told from the scores."""
    if len(set(test.groups)) != 1:
        return
    if by_source:
        raise DataError(
            f"All {len(test.groups)} test examples have the same source, so nothing would show how scores vary from "
            "one to another. Raise sizes.test, or write data.equal_sources: separate, if the source says nothing about "
            "the target."
        )
    raise DataError(
        f"All {len(test.groups)} test examples belong to one group, {test.groups[0]!r}, so nothing would show how "
        "scores vary from group to group. Raise sizes.test, name another column in fields.group, or leave it out."
    )
