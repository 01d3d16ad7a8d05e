"""What a comparison that was not finished can speak of: the seeds that all tried methods have, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.search.history import build_searches


@dataclass(frozen=True, kw_only=True)
class Partial:
    """What is missing of the plan."""

    untried: tuple[str, ...]  # methods without a confirmed trial: nothing can be said of them
    seeds: tuple[int, ...]  # what is said rests on these, which every tried method has
    planned: tuple[int, ...]  # all that the recipe asks for
    waiting: Mapping[str, int]  # trainings under further seeds by label, not counted until the others have them too


def find_missing(recipe: Recipe, records: Sequence[Record]) -> Partial | None:
    """What is missing; None where every trial that the recipe asks for has a record."""
    there = {label: _list_tested_seeds(records, label) for label in recipe.methods}
    in_vain = {
        label
        for label, search in build_searches(recipe, records).items()
        if search.tries and all(one.scores[-1] is None for one in search.tries)
    }
    asked = [label for label in recipe.methods if label not in in_vain]
    if all(set(recipe.get_seeds(label)) <= there[label] for label in asked):
        return None
    tried = [label for label in asked if there[label] and recipe.methods[label].depends_on_seed]
    shared = set.intersection(*(there[label] for label in tried)) if tried else set()
    seeds = tuple(seed for seed in recipe.seeds if seed in shared)
    further = {label: len(there[label] - shared) for label in tried} if seeds else {}
    return Partial(
        untried=tuple(label for label in asked if not there[label]),
        seeds=seeds,
        planned=recipe.seeds,
        waiting={label: number for label, number in further.items() if number},
    )


def is_counted(partial: Partial | None, recipe: Recipe, record: Record) -> bool:
    """Whether a confirmed trial is judged: not where others do not have its seed yet."""
    if partial is None or not partial.seeds or record.trial.label not in recipe.methods:
        return True
    return not recipe.methods[record.trial.label].depends_on_seed or record.trial.seed in partial.seeds


def _list_tested_seeds(records: Sequence[Record], label: str) -> set[int]:
    return {r.trial.seed for r in records if r.trial.stage == "confirm" and r.trial.label == label}
