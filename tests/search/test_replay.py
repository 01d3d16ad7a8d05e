"""The state of a search follows from the recipe and the records alone. Searches are simulated without training."""

from collections import Counter

import pytest

from tests.samples import make_search_recipe
from tests.search.simulation import FULL_TRAINING_TOKENS, score_best_at, simulate_comparison
from tuneoff.errors import RecipeError
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runner.plan import find_resumable, plan_trials, tally_stages
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import build_searches


def test_every_configuration_reaches_the_first_rung_and_half_of_them_continue_at_each(setting: Setting) -> None:
    known = simulate_comparison(make_search_recipe(), setting, score_best_at(1e-4))
    rungs = Counter((r.trial.label, r.trial.rungs[-1]) for r in known.values() if r.trial.stage == "search")
    assert rungs == {(label, rung): n for label in ("lora", "full") for rung, n in ((0.25, 8), (0.5, 4), (1.0, 2))}


def test_the_best_configurations_of_a_rung_continue(setting: Setting) -> None:
    known = simulate_comparison(make_search_recipe({"widen": False}), setting, score_best_at(3e-4))
    (search,) = build_searches(make_search_recipe({"widen": False}, ["lora"]), list(known.values())).values()
    ranked = sorted(search.tries, key=lambda t: t.scores[0] or 0)
    assert [len(t.scores) for t in ranked] == [3, 3, 2, 2, 1, 1, 1, 1]
    assert search.chosen is ranked[0]


def test_all_methods_train_on_the_same_number_of_tokens(setting: Setting) -> None:
    recipe = make_search_recipe(methods=["lora", "full", "soft-prompt"])
    searches = build_searches(recipe, list(simulate_comparison(recipe, setting, score_best_at(1e-4)).values()))
    assert {s.tokens for s in searches.values()} == {
        4 * FULL_TRAINING_TOKENS // 4 + 2 * FULL_TRAINING_TOKENS // 2 + 2 * FULL_TRAINING_TOKENS
    }


def test_a_diverged_configuration_is_recorded_and_never_continues(setting: Setting) -> None:
    recipe = make_search_recipe({"widen": False}, ["lora"])
    known = simulate_comparison(
        recipe, setting, lambda t: None if t.hyperparameters[LEARNING_RATE] > 1e-4 else score_best_at(1e-3)(t)
    )
    (search,) = build_searches(recipe, list(known.values())).values()
    assert any(t.scores == (None,) for t in search.tries)
    assert search.chosen is not None
    assert search.chosen.values[LEARNING_RATE] == max(
        t.values[LEARNING_RATE] for t in search.tries if t.scores[0] is not None
    )


def test_a_method_is_not_confirmed_if_all_its_configurations_diverged(setting: Setting) -> None:
    recipe = make_search_recipe()
    known = simulate_comparison(recipe, setting, lambda t: None if t.label == "lora" else score_best_at(1e-4)(t))
    assert build_searches(recipe, list(known.values()))["lora"].chosen is None
    assert {r.trial.label for r in known.values() if r.trial.stage == "confirm"} == {"base", "full"}


@pytest.mark.parametrize(("best", "side"), [(1e-9, "low"), (1.0, "high")])
def test_a_best_rate_at_the_edge_widens_the_range_without_more_configurations(
    setting: Setting, best: float, side: str
) -> None:
    recipe = make_search_recipe(methods=["lora"])
    (search,) = build_searches(
        recipe, list(simulate_comparison(recipe, setting, score_best_at(best)).values())
    ).values()
    declared, widened = search.space[LEARNING_RATE], search.final_space[LEARNING_RATE]
    beyond = [t.values[LEARNING_RATE] for t in search.tries if t.widened]
    assert (len(search.tries), len(beyond)) == (8, 2)
    if side == "low":
        assert (widened.low, widened.high) == (pytest.approx(declared.low / 10), declared.high)
        assert max(beyond) <= declared.low
    else:
        assert (widened.low, widened.high) == (declared.low, pytest.approx(declared.high * 10))
        assert min(beyond) >= declared.high
    assert search.on_edge == side  # the best rate is even further out, which the report has to mention


def test_a_best_rate_inside_the_range_does_not_widen_it(setting: Setting) -> None:
    recipe = make_search_recipe(methods=["lora"])
    (search,) = build_searches(
        recipe, list(simulate_comparison(recipe, setting, score_best_at(3e-4)).values())
    ).values()
    assert (search.final_space, search.on_edge) == (search.space, None)
    assert not any(t.widened for t in search.tries)


def test_the_lower_rungs_of_all_methods_come_before_the_higher_rungs_of_any(setting: Setting) -> None:
    known = simulate_comparison(make_search_recipe(), setting, score_best_at(1e-4))
    order = [(r.trial.stage, r.trial.rungs[-1]) for r in known.values()]
    searched = [rung for stage, rung in order if stage == "search"]
    assert searched == sorted(searched)
    assert order[0] == ("confirm", 1.0)  # the base model, which has nothing to search


def test_chosen_configurations_are_confirmed_on_fresh_seeds_one_seed_of_all_methods_at_a_time(setting: Setting) -> None:
    recipe = make_search_recipe()
    known = simulate_comparison(recipe, setting, score_best_at(1e-4))
    chosen = build_searches(recipe, list(known.values()))
    confirmed = [r.trial for r in known.values() if r.trial.stage == "confirm" and r.trial.label != "base"]
    assert [(t.label, t.seed) for t in confirmed] == [(label, s) for s in (1, 2, 3) for label in ("lora", "full")]
    for trial in confirmed:
        best = chosen[trial.label].chosen
        assert best is not None
        assert trial.hyperparameters == best.hyperparameters


def test_nothing_is_confirmed_before_every_search_is_finished(setting: Setting) -> None:
    recipe = make_search_recipe()
    trials = len(simulate_comparison(recipe, setting, score_best_at(1e-4)))
    for stop in range(1, trials - 6):
        known = simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=stop)
        assert all(r.trial.stage == "search" for r in list(known.values())[1:])


def test_a_plan_from_half_of_the_records_only_has_trials_of_the_full_plan(setting: Setting) -> None:
    recipe = make_search_recipe()
    records = simulate_comparison(recipe, setting, score_best_at(1e-4))
    for trial in plan_trials(recipe, setting, simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=11)):
        assert trial.id in records


def test_a_hyperparameter_in_the_recipe_is_fixed_and_the_recipe_can_set_the_space_of_another(setting: Setting) -> None:
    spaces = {"lora": {LEARNING_RATE: {"low": 1e-6, "high": 1e-2}}}
    recipe = make_search_recipe({"spaces": spaces}, {"lora": {"rank": 64}})
    search = build_searches(recipe, list(simulate_comparison(recipe, setting, score_best_at(1e-4)).values()))["lora"]
    assert {t.hyperparameters["rank"] for t in search.tries} == {64}
    assert "rank" not in search.space
    assert min(t.values[LEARNING_RATE] for t in search.tries) < 2e-5


def test_a_method_with_all_hyperparameters_in_the_recipe_is_confirmed_without_a_search(setting: Setting) -> None:
    recipe = make_search_recipe(methods={"last-layer": {LEARNING_RATE: 1e-3}})
    known = simulate_comparison(recipe, setting, score_best_at(1e-3))
    assert [r.trial.seed for r in known.values()] == [1, 2, 3]
    assert build_searches(recipe, list(known.values())) == {}


def test_the_seed_of_the_search_is_not_used_to_confirm() -> None:
    assert make_search_recipe().seeds == (1, 2, 3)
    with pytest.raises(RecipeError, match="fresh"):
        make_search_recipe(seeds=[0, 1, 2])


def test_a_space_with_an_invalid_value_or_an_unknown_method_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"search\.spaces\.lora\.rank"):
        make_search_recipe({"spaces": {"lora": {"rank": [8, 0]}}})
    with pytest.raises(RecipeError, match="Did you mean 'lora'"):
        make_search_recipe({"spaces": {"lara": {"rank": [8]}}})


def test_only_trials_that_may_still_continue_keep_their_checkpoints(setting: Setting) -> None:
    recipe = make_search_recipe({"widen": False}, ["lora"])
    for stop in range(15):
        known = simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=stop)
        resumable = find_resumable(recipe, setting, known)
        assert len(resumable) <= 4
        pending = [t for t in plan_trials(recipe, setting, known) if t.id not in known and t.before]
        assert {t.before.id for t in pending if t.before} <= resumable
    assert find_resumable(recipe, setting, simulate_comparison(recipe, setting, score_best_at(1e-4))) == set()


def test_tallies_count_all_trials_from_the_start(setting: Setting) -> None:
    recipe = make_search_recipe()
    counted = {name: (tally.done, tally.of) for name, tally in tally_stages(recipe, setting, {}).items()}
    assert counted == {"search": (0, 28), "confirm": (0, 6), "test": (0, 7)}
    known: dict[str, Record] = simulate_comparison(recipe, setting, score_best_at(1e-4))
    counted = {name: (tally.done, tally.of) for name, tally in tally_stages(recipe, setting, known).items()}
    assert counted == {"search": (28, 28), "confirm": (6, 6), "test": (7, 7)}


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_an_adaptive_sampler_tries_no_configuration_twice(setting: Setting, sampler: str) -> None:
    space = {"lora": {"learning_rate": [1e-4, 1e-3, 1e-2]}}
    methods = {"lora": {"rank": 4, "alpha": 8, "dropout": 0, "modules": "attention"}}
    recipe = make_search_recipe({"configurations": 6, "sampler": sampler, "rungs": 1, "spaces": space}, methods)
    records = simulate_comparison(recipe, setting, score_best_at(1e-3))
    search = build_searches(recipe, list(records.values()))["lora"]
    assert sorted(t.values["learning_rate"] for t in search.tries) == [1e-4, 1e-3, 1e-2]
    assert search.tokens == 3 * FULL_TRAINING_TOKENS
