"""A finished search by the rules of an earlier version keeps its choice and its confirmed trials."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.samples import make_search_recipe
from tests.search.simulation import make_record, score_best_at, simulate_comparison
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import plan_trials, select_records
from tuneoff.runner.planner import Planner
from tuneoff.search.history import build_searches

RATES = (1e-5, 1e-4, 3e-4, 1e-3)


@pytest.fixture
def recipe() -> Recipe:
    return make_search_recipe({"configurations": 4}, {"base": {}, "lora": {"rank": 8, "alpha": 16, "dropout": 0}})


def make_trials(recipe: Recipe, setting: Setting) -> Iterator[Trial]:
    """Yield the trials of version 0.1: halving alone, 4, 2 and 1 trained to the rungs, and the best one confirmed."""

    def make_trial(label: str, values: dict[str, Any], **fields: Any) -> Trial:
        method = recipe.configure(label, values)
        hyperparameters = method.model_dump(mode="json")
        return Trial(label=label, method=method.name, hyperparameters=hyperparameters, setting=setting, **fields)

    yield make_trial("base", {}, seed=0)
    for shares, rates in (((0.25,), RATES), ((0.25, 0.5), RATES[1:3]), ((0.25, 0.5, 1.0), RATES[2:3])):
        for rate in rates:
            values = {"learning_rate": rate, "modules": "attention"}
            yield make_trial("lora", values, seed=0, stage="search", rungs=shares)
    for seed in (1, 2, 3):
        yield make_trial("lora", {"learning_rate": RATES[2], "modules": "attention"}, seed=seed)


@pytest.fixture
def records(recipe: Recipe, setting: Setting) -> dict[str, Record]:
    score = score_best_at(3e-4)
    made = (make_record(t, 4.0 if t.label == "base" else score(t)) for t in make_trials(recipe, setting))
    return {record.trial.id: record for record in made}


def test_all_its_records_are_selected_and_nothing_is_missing(
    recipe: Recipe, setting: Setting, records: dict[str, Record]
) -> None:
    assert {r.trial.id for r in select_records(recipe, tuple(records.values()))} == records.keys()
    assert {trial.id for trial in plan_trials(recipe, setting, records)} == records.keys()
    assert all(tally.done == tally.of for tally in Planner(recipe, setting, records).tally_stages().values())
    assert Planner(recipe, setting, records).find_resumable() == set()


def test_it_is_shown_as_recorded_with_its_choice(recipe: Recipe, records: dict[str, Record]) -> None:
    search = build_searches(recipe, tuple(records.values()))["lora"]
    assert search.is_as_recorded
    assert search.chosen is not None
    assert search.chosen.values["learning_rate"] == RATES[2]
    assert [len(t.scores) for t in search.tries] == [1, 2, 3, 1]
    assert search.score == search.chosen.scores[-1]
    assert search.regret is None


def test_a_further_seed_is_confirmed_with_its_choice(
    recipe: Recipe, setting: Setting, records: dict[str, Record]
) -> None:
    more = recipe.model_copy(update={"seeds": (1, 2, 3, 4)})
    (missing,) = [trial for trial in plan_trials(more, setting, records) if trial.id not in records]
    assert (missing.seed, missing.hyperparameters["learning_rate"]) == (4, RATES[2])


def test_an_unfinished_one_goes_on_by_the_new_rules(
    recipe: Recipe, setting: Setting, records: dict[str, Record]
) -> None:
    begun = {id: record for id, record in records.items() if record.trial.stage == "search"}
    missing = [trial for trial in plan_trials(recipe, setting, begun) if trial.id not in begun]
    assert missing[1].hyperparameters == recipe.methods["lora"].model_dump(mode="json")
    assert not build_searches(recipe, tuple(begun.values()))["lora"].is_as_recorded


def test_a_search_by_the_new_rules_is_never_taken_for_an_older_one(recipe: Recipe, setting: Setting) -> None:
    """Not even if a larger budget asks for more configurations after trials were confirmed."""
    known = simulate_comparison(recipe, setting, score_best_at(3e-4))
    assert recipe.search is not None
    larger = recipe.model_copy(update={"search": recipe.search.model_copy(update={"configurations": 8})})
    search = build_searches(larger, tuple(known.values()))["lora"]
    assert (search.finished, search.is_as_recorded) == (False, False)
    assert [trial for trial in plan_trials(larger, setting, known) if trial.id not in known]
