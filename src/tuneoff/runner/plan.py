"""Plan the trials of a comparison from its recipe, its setting and the records that exist. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuneoff.config.search import SearchOptions
from tuneoff.data.statistics import TrainSamples
from tuneoff.errors import RunError
from tuneoff.methods import Method
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.listener import Tally
from tuneoff.search import replay
from tuneoff.search.halving import count_tries
from tuneoff.search.history import build_searches
from tuneoff.search.replay import SearchState, replay_search

RecordsById = Mapping[str, Record]  # by trial id


def plan_trials(
    recipe: Recipe, setting: Setting, known: RecordsById, samples: TrainSamples | None = None
) -> tuple[Trial, ...]:
    """Return all trials that the known records determine, in the order to run them.

    Methods that train nothing, such as the base model, come first. Then come the searches, with each part of all
    methods before the next part of any, so that an interrupted search has treated all methods equally. Last come the
    confirmed trials with the best configuration of each method, one seed of all methods after another.

    Args:
        samples: the train samples of the recipe's replicates, if it has any.
    """
    searches = _replay_searches(recipe, setting, known)
    waves = sorted((wave for search in searches.values() for wave in search.waves), key=lambda wave: wave[0])
    search_trials = [trial for _, trials in waves for trial in trials]
    methods = {label: method for label, method in recipe.methods.items() if label not in searches}
    chosen = get_chosen_methods(recipe, tuple(known.values())) if any(s.finished for s in searches.values()) else {}
    if not all(search.finished for search in searches.values()):  # also when a method was added to a finished run
        confirmed_labels = {record.trial.label for record in known.values() if record.trial.stage == "confirm"}
        chosen = {label: method for label, method in chosen.items() if label in confirmed_labels}
    methods |= chosen
    confirmed = [
        Trial(
            label=label,
            method=methods[label].name,
            hyperparameters=methods[label].model_dump(mode="json"),
            setting=setting,
            seed=seed,
            train_sample=_get_train_sample(recipe, label, seed, samples),
        )
        for seed in dict.fromkeys(seed for label in recipe.methods for seed in recipe.get_seeds(label))
        for label in recipe.methods
        if label in methods and seed in recipe.get_seeds(label)
    ]
    untrained = [trial for trial in confirmed if not recipe.methods[trial.label].depends_on_seed]
    return (*untrained, *search_trials, *(trial for trial in confirmed if trial not in untrained))


def _get_train_sample(recipe: Recipe, label: str, seed: int, samples: TrainSamples | None) -> str | None:
    """Return the sample of a replicate, which is the same for all methods; None for the train split."""
    if recipe.replicates is None or not recipe.methods[label].depends_on_seed:
        return None
    if samples is None or seed not in samples.fingerprints:
        raise RunError(f"The train sample of replicate {seed} is not known. Run the same `tuneoff compare` again.")
    return samples.fingerprints[seed]


def tally_stages(
    recipe: Recipe, setting: Setting, known: RecordsById, samples: TrainSamples | None = None
) -> dict[str, Tally]:
    """Count the trials of each stage that are done and that there will be; stages without trials are left out."""
    trials = plan_trials(recipe, setting, known, samples)
    searches = _replay_searches(recipe, setting, known)
    options = recipe.search or SearchOptions()
    search_count = sum(
        len(search.trials) if search.finished else count_tries(options, search.configuration_count).trainings
        for search in searches.values()
    )
    confirmed = {trial.label for trial in trials if trial.stage == "confirm"}
    pending = set(searches) if not all(search.finished for search in searches.values()) else set()
    tested = {label: len(recipe.get_seeds(label)) for label in recipe.methods if label in confirmed | pending}
    trained = {label: seeds for label, seeds in tested.items() if recipe.methods[label].depends_on_seed}
    done = [trial for trial in trials if trial.id in known]
    done_confirmed = [trial for trial in done if trial.stage == "confirm"]
    tallies = {
        "search": Tally(done=len(done) - len(done_confirmed), of=search_count),
        "confirm": Tally(done=sum(trial.label in trained for trial in done_confirmed), of=sum(trained.values())),
        "test": Tally(done=len(done_confirmed), of=sum(tested.values())),
    }
    return {stage: tally for stage, tally in tallies.items() if tally.of}


def find_resumable(recipe: Recipe, setting: Setting, known: RecordsById) -> set[str]:
    """Return the ids of the search trials whose checkpoints a higher rung may still resume from."""
    if recipe.search is None:
        return set()
    searches = _replay_searches(recipe, setting, known).values()
    return {id for search in searches for id in replay.find_resumable(search, recipe.search, known)}


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
    labels = list(recipe.methods)
    selected = [by_id[id] for id in ids if id in by_id]
    return tuple(sorted(selected, key=lambda r: (r.trial.stage == "search", labels.index(r.trial.label), r.trial.seed)))


def _replay_searches(recipe: Recipe, setting: Setting, known: RecordsById) -> dict[str, SearchState]:
    """Return the state of each search by label; empty if the recipe searches nothing."""
    return {label: replay_search(recipe, label, setting, known) for label in recipe.methods if recipe.get_space(label)}
