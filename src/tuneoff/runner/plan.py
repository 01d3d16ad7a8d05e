"""The trials of a comparison, planned once from its recipe, its setting and the records that exist. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuneoff.data.statistics import TrainSamples
from tuneoff.methods import Method
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.planner import Planner
from tuneoff.search.history import build_searches

RecordsById = Mapping[str, Record]  # by trial id


def plan_trials(
    recipe: Recipe, setting: Setting, known: RecordsById, samples: TrainSamples | None = None
) -> tuple[Trial, ...]:
    """Return all trials that the known records determine, in the order to run them; see `Planner`."""
    return Planner(recipe, setting, known, samples).trials


def get_chosen_methods(recipe: Recipe, records: Sequence[Record]) -> dict[str, Method]:
    """Return each searched method with the configuration that its search chose, if any of them got a score."""
    searches = build_searches(recipe, records)
    return {label: recipe.configure(label, s.chosen.values) for label, s in searches.items() if s.chosen}


def select_records(
    recipe: Recipe, records: Sequence[Record], samples: TrainSamples | None = None
) -> tuple[Record, ...]:
    """Return the records that the recipe asks for, in the recipe's order.

    A run directory may also hold records of an earlier version of its recipe.
    """
    by_id = {record.trial.id: record for record in records}
    settings = {record.trial.setting.model_dump_json(): record.trial.setting for record in records}
    ids = [trial.id for setting in settings.values() for trial in plan_trials(recipe, setting, by_id, samples)]
    order = {label: i for i, label in enumerate(recipe.methods)}
    selected = [by_id[id] for id in ids if id in by_id]
    return tuple(sorted(selected, key=lambda r: (r.trial.stage == "search", order[r.trial.label], r.trial.seed)))
