"""Successive halving follows from the recipe and the records alone."""

from collections import Counter

import pytest

from tests.samples import make_search_recipe
from tests.search.simulation import FULL_TRAINING_TOKENS, score_best_at, simulate_comparison
from tuneoff.errors import RecipeError
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runner.plan import find_resumable, plan_trials, tally_stages
from tuneoff.search.halving import find_edge
from tuneoff.search.history import build_searches

LR = "learning_rate"


def test_every_configuration_is_at_the_first_rung_and_half_go_on(setting: Setting) -> None:
    known = simulate_comparison(make_search_recipe(), setting, score_best_at(1e-4))
    rungs = Counter((r.trial.label, r.trial.rungs[-1]) for r in known.values() if r.trial.stage == "search")
    assert rungs == {(label, rung): n for label in ("lora", "full") for rung, n in ((0.25, 8), (0.5, 4), (1.0, 2))}


def test_the_best_of_a_rung_go_on(setting: Setting) -> None:
    known = simulate_comparison(make_search_recipe({"widen": False}), setting, score_best_at(3e-4))
    (search,) = build_searches(make_search_recipe({"widen": False}, ["lora"]), list(known.values())).values()
    ranked = sorted(search.tries, key=lambda t: t.scores[0] or 0)
    assert [len(t.scores) for t in ranked] == [3, 3, 2, 2, 1, 1, 1, 1]
    assert search.chosen is ranked[0]


def test_all_methods_spend_the_same_tokens(setting: Setting) -> None:
    recipe = make_search_recipe(methods=["lora", "full", "soft-prompt"])
    searches = build_searches(recipe, list(simulate_comparison(recipe, setting, score_best_at(1e-4)).values()))
    assert {s.tokens for s in searches.values()} == {
        4 * FULL_TRAINING_TOKENS // 4 + 2 * FULL_TRAINING_TOKENS // 2 + 2 * FULL_TRAINING_TOKENS
    }


def test_a_diverged_configuration_never_goes_on_and_is_kept(setting: Setting) -> None:
    recipe = make_search_recipe({"widen": False}, ["lora"])
    known = simulate_comparison(
        recipe, setting, lambda t: None if t.hyperparameters[LR] > 1e-4 else score_best_at(1e-3)(t)
    )
    (search,) = build_searches(recipe, list(known.values())).values()
    assert any(t.scores == (None,) for t in search.tries)
    assert search.chosen is not None
    assert search.chosen.values[LR] == max(t.values[LR] for t in search.tries if t.scores[0] is not None)


def test_a_method_whose_every_try_diverged_is_not_confirmed(setting: Setting) -> None:
    recipe = make_search_recipe()
    known = simulate_comparison(recipe, setting, lambda t: None if t.label == "lora" else score_best_at(1e-4)(t))
    assert build_searches(recipe, list(known.values()))["lora"].chosen is None
    assert {r.trial.label for r in known.values() if r.trial.stage == "confirm"} == {"base", "full"}


@pytest.mark.parametrize(("best", "side"), [(1e-9, "low"), (1.0, "high")])
def test_a_best_rate_at_the_edge_widens_the_range_within_the_budget(setting: Setting, best: float, side: str) -> None:
    recipe = make_search_recipe(methods=["lora"])
    (search,) = build_searches(
        recipe, list(simulate_comparison(recipe, setting, score_best_at(best)).values())
    ).values()
    declared, widened = search.space[LR], search.final_space[LR]
    beyond = [t.values[LR] for t in search.tries if t.widened]
    assert (len(search.tries), len(beyond)) == (8, 2)
    if side == "low":
        assert (widened.low, widened.high) == (pytest.approx(declared.low / 10), declared.high)
        assert max(beyond) <= declared.low
    else:
        assert (widened.low, widened.high) == (declared.low, pytest.approx(declared.high * 10))
        assert min(beyond) >= declared.high
    assert search.on_edge == side  # the best is still further out, and the page has to say so


def test_a_best_rate_inside_the_range_leaves_it_as_it_was(setting: Setting) -> None:
    recipe = make_search_recipe(methods=["lora"])
    (search,) = build_searches(
        recipe, list(simulate_comparison(recipe, setting, score_best_at(3e-4)).values())
    ).values()
    assert (search.final_space, search.on_edge) == (search.space, None)
    assert not any(t.widened for t in search.tries)


def test_a_rate_that_diverged_bounds_the_best_from_above() -> None:
    assert find_edge([(1e-3, 2.0), (1e-2, 1.0), (1e-1, None)], lower_is_better=True) is None
    assert find_edge([(1e-3, 2.0), (1e-2, 1.0)], lower_is_better=True) == "high"
    assert find_edge([(1e-3, 2.0), (1e-2, 1.0)], lower_is_better=False) == "low"


def test_lower_rungs_of_all_methods_come_before_higher_ones_of_any(setting: Setting) -> None:
    known = simulate_comparison(make_search_recipe(), setting, score_best_at(1e-4))
    order = [(r.trial.stage, r.trial.rungs[-1]) for r in known.values()]
    searched = [rung for stage, rung in order if stage == "search"]
    assert searched == sorted(searched)
    assert order[0] == ("confirm", 1.0)  # the untouched model, which nothing is searched for


def test_what_is_chosen_is_confirmed_on_fresh_seeds_one_seed_of_all_methods_after_the_other(setting: Setting) -> None:
    recipe = make_search_recipe()
    known = simulate_comparison(recipe, setting, score_best_at(1e-4))
    chosen = build_searches(recipe, list(known.values()))
    confirmed = [r.trial for r in known.values() if r.trial.stage == "confirm" and r.trial.label != "base"]
    assert [(t.label, t.seed) for t in confirmed] == [(label, s) for s in (1, 2, 3) for label in ("lora", "full")]
    for trial in confirmed:
        best = chosen[trial.label].chosen
        assert best is not None
        assert trial.hyperparameters == best.hyperparameters


def test_nothing_is_confirmed_before_every_search_has_ended(setting: Setting) -> None:
    recipe = make_search_recipe()
    whole = len(simulate_comparison(recipe, setting, score_best_at(1e-4)))
    for stop in range(1, whole - 6):
        known = simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=stop)
        assert all(r.trial.stage == "search" for r in list(known.values())[1:])


def test_the_plan_is_the_same_from_half_a_run_as_from_a_whole_one(setting: Setting) -> None:
    recipe = make_search_recipe()
    whole = simulate_comparison(recipe, setting, score_best_at(1e-4))
    for trial in plan_trials(recipe, setting, simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=11)):
        assert trial.id in whole


def test_a_written_knob_is_fixed_and_the_recipe_may_widen_another(setting: Setting) -> None:
    spaces = {"lora": {LR: {"low": 1e-6, "high": 1e-2}}}
    recipe = make_search_recipe({"spaces": spaces}, {"lora": {"rank": 64}})
    search = build_searches(recipe, list(simulate_comparison(recipe, setting, score_best_at(1e-4)).values()))["lora"]
    assert {t.hyperparameters["rank"] for t in search.tries} == {64}
    assert "rank" not in search.space
    assert min(t.values[LR] for t in search.tries) < 2e-5


def test_a_method_with_every_knob_written_is_not_searched_but_confirmed(setting: Setting) -> None:
    recipe = make_search_recipe(methods={"last-layer": {LR: 1e-3}})
    known = simulate_comparison(recipe, setting, score_best_at(1e-3))
    assert [r.trial.seed for r in known.values()] == [1, 2, 3]
    assert build_searches(recipe, list(known.values())) == {}


def test_the_seed_of_the_search_is_not_among_those_that_confirm() -> None:
    assert make_search_recipe().seeds == (1, 2, 3)
    with pytest.raises(RecipeError, match="fresh"):
        make_search_recipe(seeds=[0, 1, 2])


def test_a_space_with_a_value_that_its_method_does_not_take_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"search\.spaces\.lora\.rank"):
        make_search_recipe({"spaces": {"lora": {"rank": [8, 0]}}})
    with pytest.raises(RecipeError, match="Did you mean 'lora'"):
        make_search_recipe({"spaces": {"lara": {"rank": [8]}}})


def test_only_what_may_still_go_on_keeps_its_checkpoint(setting: Setting) -> None:
    recipe = make_search_recipe({"widen": False}, ["lora"])
    for stop in range(15):
        known = simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=stop)
        needed = find_resumable(recipe, setting, known)
        assert len(needed) <= 4
        pending = [t for t in plan_trials(recipe, setting, known) if t.id not in known and t.before]
        assert {t.before.id for t in pending if t.before} <= needed
    assert find_resumable(recipe, setting, simulate_comparison(recipe, setting, score_best_at(1e-4))) == set()


def test_the_outlook_counts_the_whole_from_the_start(setting: Setting) -> None:
    recipe = make_search_recipe()
    counted = {name: (tally.done, tally.of) for name, tally in tally_stages(recipe, setting, {}).items()}
    assert counted == {"search": (0, 28), "confirm": (0, 6), "test": (0, 7)}
    known: dict[str, Record] = simulate_comparison(recipe, setting, score_best_at(1e-4))
    counted = {name: (tally.done, tally.of) for name, tally in tally_stages(recipe, setting, known).items()}
    assert counted == {"search": (28, 28), "confirm": (6, 6), "test": (7, 7)}


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_an_adaptive_sampler_tries_nothing_twice(setting: Setting, sampler: str) -> None:
    space = {"lora": {"learning_rate": [1e-4, 1e-3, 1e-2]}}
    methods = {"lora": {"rank": 4, "alpha": 8, "dropout": 0, "modules": "attention"}}
    recipe = make_search_recipe({"configurations": 6, "sampler": sampler, "rungs": 1, "spaces": space}, methods)
    records = simulate_comparison(recipe, setting, score_best_at(1e-3))
    search = build_searches(recipe, list(records.values()))["lora"]
    assert sorted(one.values["learning_rate"] for one in search.tries) == [1e-4, 1e-3, 1e-2]
    assert search.tokens == 3 * FULL_TRAINING_TOKENS
