"""The names by which people call the three splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}
# names for validation or for test, whichever the data does not have by another name; validation comes first
EVALUATION = ("eval", "evaluation")


def name_splits(names: Iterable[str]) -> dict[str, str]:
    """Return which split each name is, for the names that say it: `dev` is validation."""
    words = {name: word for name in names if (word := find_split_word(name)) is not None}
    named = {name: split for name, word in words.items() for split, known in WORDS.items() if word in known}
    free = [split for split in ("validation", "test") if split not in named.values()]
    if free:
        named |= {name: free[0] for name, word in words.items() if word in EVALUATION}
    return named


def find_split(split: str, names: Iterable[str]) -> str | None:
    """Return the one name that means this split; None if none does, or several do."""
    found = [name for name, meant in name_splits(names).items() if meant == split]
    return found[0] if len(found) == 1 else None


def find_split_word(path: str) -> str | None:
    """Return the word for a split in a path, from its last part that has one; None if it has several or none."""
    for part in reversed(path.lower().split("/")):
        words = {word.rstrip("0123456789") for word in re.split(r"[^a-z0-9]+", part)}
        found = words & {word for known in (*WORDS.values(), EVALUATION) for word in known}
        if found:
            return found.pop() if len(found) == 1 else None
    return None
