"""Planning: from a recipe, its setting and the records that are there to the trials to run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuneoff.config.search import SearchOptions
from tuneoff.methods import Method
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.listener import Tally
from tuneoff.search import halving
from tuneoff.search.halving import count_at_rungs, replay_search
from tuneoff.search.history import build_searches

RecordsById = Mapping[str, Record]  # by trial id


def plan_trials(recipe: Recipe, setting: Setting, known: RecordsById) -> tuple[Trial, ...]:
    """All trials of a comparison as far as the known records determine them, in the order to run them.

    First the untouched model; then every method's search, the lower rungs of all before the higher ones, so that a
    search cut short has treated all alike; then each method's best under one fresh seed after the other.
    """
    searched = [label for label in recipe.methods if recipe.get_space(label)]
    climbs = [replay_search(recipe, label, setting, known) for label in searched]
    search = sorted((trial for way in climbs for trial in way.trials), key=lambda trial: len(trial.rungs))
    chosen = {label: method for label, method in recipe.methods.items() if label not in searched}
    if all(way.finished for way in climbs):
        chosen |= get_chosen_methods(recipe, tuple(known.values()))
    confirmed = [
        Trial(
            label=label,
            method=chosen[label].name,
            hyperparameters=chosen[label].model_dump(mode="json"),
            setting=setting,
            seed=seed,
        )
        for seed in dict.fromkeys(seed for label in recipe.methods for seed in recipe.get_seeds(label))
        for label in recipe.methods
        if label in chosen and seed in recipe.get_seeds(label)
    ]
    untrained = [trial for trial in confirmed if not recipe.methods[trial.label].depends_on_seed]
    return (*untrained, *search, *(trial for trial in confirmed if trial not in untrained))


def tally_stages(recipe: Recipe, setting: Setting, known: RecordsById) -> dict[str, Tally]:
    """How much of each stage is done, and how much there is in all; a stage without anything is not there."""
    trials = plan_trials(recipe, setting, known)
    search = [trial for trial in trials if trial.stage == "search"]
    climbs = {
        label: replay_search(recipe, label, setting, known) for label in recipe.methods if recipe.get_space(label)
    }
    options = recipe.search or SearchOptions()
    searching = sum(
        len(w.trials) if w.finished else sum(count_at_rungs(options, w.configuration_count)) for w in climbs.values()
    )
    confirmed = {trial.label for trial in trials if trial.stage == "confirm"}
    pending = {label for label in climbs if not all(way.finished for way in climbs.values())}
    tested = {label: len(recipe.get_seeds(label)) for label in recipe.methods if label in confirmed | pending}
    trained = {label: number for label, number in tested.items() if recipe.methods[label].depends_on_seed}
    done = [trial for trial in trials if trial.id in known]
    tallies = {
        "search": Tally(done=sum(t.id in known for t in search), of=searching),
        "confirm": Tally(done=sum(t.stage == "confirm" and t.label in trained for t in done), of=sum(trained.values())),
        "test": Tally(done=sum(t.stage == "confirm" for t in done), of=sum(tested.values())),
    }
    return {stage: tally for stage, tally in tallies.items() if tally.of}


def find_resumable(recipe: Recipe, setting: Setting, known: RecordsById) -> set[str]:
    """The ids of the search trials whose checkpoints may still be gone on from."""
    if recipe.search is None:
        return set()
    climbs = [replay_search(recipe, label, setting, known) for label in recipe.methods if recipe.get_space(label)]
    return {id for way in climbs for id in halving.find_resumable(way, recipe.search, known)}


def get_chosen_methods(recipe: Recipe, records: Sequence[Record]) -> dict[str, Method]:
    """The methods with what the search chose for them; one that came to no score in it is not there."""
    searches = build_searches(recipe, records)
    return {label: recipe.configure(label, s.chosen.values) for label, s in searches.items() if s.chosen}


def select_records(recipe: Recipe, records: Sequence[Record]) -> tuple[Record, ...]:
    """Of a run's records the ones that its recipe asks for, in the recipe's order; it may hold others, of a recipe
    that it had before."""
    by_id = {record.trial.id: record for record in records}
    settings = {record.trial.setting.model_dump_json(): record.trial.setting for record in records}
    ids = [trial.id for setting in settings.values() for trial in plan_trials(recipe, setting, by_id)]
    labels = list(recipe.methods)
    there = [by_id[id] for id in ids if id in by_id]
    return tuple(sorted(there, key=lambda r: (r.trial.stage == "search", labels.index(r.trial.label), r.trial.seed)))
