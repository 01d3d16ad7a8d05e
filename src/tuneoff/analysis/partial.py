"""What is missing from an unfinished comparison, and which of its trials can be compared: those whose seed all methods
have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.search.history import build_searches


@dataclass(frozen=True, kw_only=True)
class Partial:
    """What is missing from the plan."""

    untried: tuple[str, ...]  # methods without a confirmed trial, about which nothing is known
    seeds: tuple[int, ...]  # of the comparison so far: those that every tried method has
    planned: tuple[int, ...]  # all seeds of the recipe
    waiting: Mapping[str, int]  # trials under further seeds by label, not counted until the other methods have them


def find_missing(recipe: Recipe, records: Sequence[Record]) -> Partial | None:
    """Return what is missing, or None if every trial of the recipe has a record.

    A method whose search has no score at all is not confirmed, so nothing of it is missing.
    """
    seeds_by_label = {label: _list_confirmed_seeds(records, label) for label in recipe.methods}
    labels = list_confirmable(recipe, records)
    if all(set(recipe.get_seeds(label)) <= seeds_by_label[label] for label in labels):
        return None
    tried = [label for label in labels if seeds_by_label[label] and recipe.methods[label].depends_on_seed]
    shared = set.intersection(*(seeds_by_label[label] for label in tried)) if tried else set()
    seeds = tuple(seed for seed in recipe.seeds if seed in shared)
    further = {label: len(seeds_by_label[label] - shared) for label in tried} if seeds else {}
    return Partial(
        untried=tuple(label for label in labels if not seeds_by_label[label]),
        seeds=seeds,
        planned=recipe.seeds,
        waiting={label: count for label, count in further.items() if count},
    )


def list_confirmable(recipe: Recipe, records: Sequence[Record]) -> list[str]:
    """Return the methods that are or will be confirmed: all but those whose search has no score at all."""
    unconfirmable = {
        label for label, search in build_searches(recipe, records).items() if search.finished and search.chosen is None
    }
    return [label for label in recipe.methods if label not in unconfirmable]


def is_counted(partial: Partial | None, recipe: Recipe, record: Record) -> bool:
    """Return whether a confirmed trial is part of the comparison, which it is not if another method lacks its seed."""
    if partial is None or not partial.seeds or record.trial.label not in recipe.methods:
        return True
    return not recipe.methods[record.trial.label].depends_on_seed or record.trial.seed in partial.seeds


def _list_confirmed_seeds(records: Sequence[Record], label: str) -> set[int]:
    return {r.trial.seed for r in records if r.trial.stage == "confirm" and r.trial.label == label}
