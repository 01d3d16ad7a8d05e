"""The state of a search follows from the recipe and the records alone. Searches are simulated without training."""

import math
from collections import Counter
from typing import Any

import pytest

from tests.samples import make_search_recipe
from tests.search.simulation import FULL_TRAINING_TOKENS, ScoreFunction, score_best_at, simulate_comparison
from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range
from tuneoff.errors import RecipeError
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import plan_trials
from tuneoff.runner.planner import Planner
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search, build_searches

RATES_ONLY = {"lora": {"rank": 8, "alpha": 16, "dropout": 0.0, "modules": "attention"}}


def search_lora(setting: Setting, score: ScoreFunction, options: Any = None, methods: Any = ("lora",)) -> Search:
    recipe = make_search_recipe(options, methods)
    return build_searches(recipe, list(simulate_comparison(recipe, setting, score).values()))["lora"]


def test_drawn_configurations_are_halved_at_each_rung_and_last_tries_and_the_second_seed_are_full(
    setting: Setting,
) -> None:
    known = simulate_comparison(make_search_recipe(), setting, score_best_at(1e-4))
    rungs = Counter((r.trial.label, r.trial.rungs) for r in known.values() if r.trial.stage == "search")
    expected = {(0.25,): 6, (0.25, 0.5): 3, (0.25, 0.5, 1.0): 2, (1.0,): 2 + 2}
    assert rungs == {(label, rung): n for label in ("lora", "full") for rung, n in expected.items()}


def test_the_first_configuration_is_the_defaults_of_the_method(setting: Setting) -> None:
    recipe = make_search_recipe(methods={"lora": {"rank": 4}})
    first = next(iter(simulate_comparison(recipe, setting, score_best_at(1e-4)).values()))
    assert first.trial.hyperparameters == recipe.methods["lora"].model_dump(mode="json")


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_every_sampler_starts_with_the_defaults(setting: Setting, sampler: str) -> None:
    search = search_lora(setting, score_best_at(1e-4), {"sampler": sampler, "configurations": 5})
    assert search.tries[0].hyperparameters == make_search_recipe().methods["lora"].model_dump(mode="json")


def test_a_default_outside_the_space_gives_way_to_a_value_inside(setting: Setting) -> None:
    spaces = {"lora": {LEARNING_RATE: {"low": 1e-2, "high": 1.0}, "rank": [3, 5]}}
    search = search_lora(setting, score_best_at(1e-1), {"spaces": spaces})
    assert (search.tries[0].values[LEARNING_RATE], search.tries[0].values["rank"]) == (pytest.approx(0.1), 3)


def test_rates_are_varied_first_and_then_the_others_at_the_best_of_these_rates(setting: Setting) -> None:
    search = search_lora(setting, score_best_at(1e-3))
    default, *drawn = (t.values for t in search.tries[:6])
    rates, others = drawn[:3], drawn[3:]
    for values in rates:
        assert values == {**default, LEARNING_RATE: values[LEARNING_RATE]}
    best = min([default, *rates], key=lambda values: abs(math.log(values[LEARNING_RATE] / 1e-3)))
    for values in others:
        assert values[LEARNING_RATE] == best[LEARNING_RATE]
        assert values != best


def test_a_small_space_is_tried_once_each(setting: Setting) -> None:
    spaces = {"lora": {LEARNING_RATE: [1e-4, 1e-3, 1e-2], "rank": [4, 8]}}
    search = search_lora(setting, score_best_at(1e-3), {"spaces": spaces, "rungs": 1}, RATES_ONLY)
    tried = [(t.values[LEARNING_RATE], t.values["rank"]) for t in search.tries]
    assert len(tried) == len(set(tried)) == 6


def test_the_best_configurations_of_a_rung_continue(setting: Setting) -> None:
    search = search_lora(setting, score_best_at(3e-4), {"configurations": 8}, RATES_ONLY)
    drawn = [t for t in search.tries if t.shares != (1.0,)]
    ranked = sorted(drawn, key=lambda t: t.scores[0] or 0)
    assert [len(t.scores) for t in ranked] == [3, 3, 2, 1, 1, 1]


def test_the_last_tries_find_the_vertex(setting: Setting) -> None:
    search = search_lora(setting, score_best_at(3.3e-4), {"configurations": 8}, RATES_ONLY)
    assert search.chosen is not None
    assert search.chosen.shares == (1.0,)
    assert search.chosen.values[LEARNING_RATE] == pytest.approx(3.3e-4, rel=0.01)
    assert search.regret is not None
    assert search.regret < 0.05  # of a parabola that rises by 1 in a decade


def test_the_choice_goes_by_the_mean_over_two_seeds(setting: Setting) -> None:
    def score(trial: Trial) -> float | None:
        rate, second = trial.hyperparameters[LEARNING_RATE], trial.seed != 0
        unlucky = second and abs(math.log10(rate / 3.3e-4)) < 0.02  # the best rate under the first seed
        return (score_best_at(3.3e-4)(trial) or 0.0) + 0.5 * unlucky

    search = search_lora(setting, score, {"configurations": 8}, RATES_ONLY)
    first, second = sorted(t for t in (t.scores[-1] for t in search.tries if t.second) if t is not None)
    assert search.chosen is not None
    assert search.chosen.scores[-1] == second > first
    assert search.score == search.chosen.get_final_score("loss")


def test_a_finalist_that_diverges_under_the_second_seed_is_not_chosen(setting: Setting) -> None:
    def score(trial: Trial) -> float | None:
        near = abs(math.log10(trial.hyperparameters[LEARNING_RATE] / 3.3e-4)) < 0.02
        return None if near and trial.seed != 0 else score_best_at(3.3e-4)(trial)

    search = search_lora(setting, score, {"configurations": 8}, RATES_ONLY)
    assert search.chosen is not None
    assert search.chosen.second is not None
    assert search.chosen.second.status == "done"
    assert search.score is not None


def test_if_both_finalists_diverge_under_the_second_seed_the_first_seed_decides(setting: Setting) -> None:
    search = search_lora(setting, lambda t: None if t.seed else score_best_at(3.3e-4)(t), None, RATES_ONLY)
    assert search.chosen is not None
    assert search.regret is None  # no score under two seeds shows the noise


def test_early_rungs_that_prefer_high_rates_do_not_widen_the_range(setting: Setting) -> None:
    """At a quarter of the training the highest rate is best, at its end one inside."""
    search = search_lora(
        setting, lambda t: score_best_at(1e-2 if t.rungs[-1] < 1 else 5e-4)(t), {"configurations": 8}, RATES_ONLY
    )
    assert search.final_space == search.space
    assert search.chosen is not None
    assert search.chosen.values[LEARNING_RATE] < 1.2e-3


def test_all_methods_train_on_the_same_number_of_tokens(setting: Setting) -> None:
    recipe = make_search_recipe(methods=["lora", "full", "soft-prompt"])
    searches = build_searches(recipe, list(simulate_comparison(recipe, setting, score_best_at(1e-4)).values()))
    halved = 3 * FULL_TRAINING_TOKENS // 4 + FULL_TRAINING_TOKENS // 2 + 2 * FULL_TRAINING_TOKENS
    assert {s.tokens for s in searches.values()} == {halved + 4 * FULL_TRAINING_TOKENS}


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
def test_a_best_rate_at_the_edge_is_passed_by_half_decades_without_more_configurations(
    setting: Setting, best: float, side: str
) -> None:
    search = search_lora(setting, score_best_at(best), {"configurations": 8}, RATES_ONLY)
    declared, widened = search.space[LEARNING_RATE], search.final_space[LEARNING_RATE]
    assert isinstance(declared, Range)
    assert isinstance(widened, Range)
    drawn = [t.values[LEARNING_RATE] for t in search.tries[:6]]
    last = [t.values[LEARNING_RATE] for t in search.tries[6:]]
    assert len(last) == 2
    start, factor = (min(drawn), 10**-0.5) if side == "low" else (max(drawn), 10**0.5)
    assert last == [pytest.approx(start * factor, rel=0.01), pytest.approx(start * factor**2, rel=0.01)]
    assert widened.low == min(declared.low, *last)
    assert widened.high == max(declared.high, *last)
    assert search.on_edge == side  # the best rate is even further out, which the report has to mention
    assert search.regret is not None
    assert search.regret > 0.1


def test_a_range_is_not_widened_if_the_recipe_says_so(setting: Setting) -> None:
    search = search_lora(setting, score_best_at(1.0), {"widen": False}, RATES_ONLY)
    assert search.final_space == search.space


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
    labels = [r.trial.label for r in known.values() if r.trial.rungs == (1.0,) and r.trial.stage == "search"]
    assert labels == ["lora", "full", "lora", "full", "lora", "lora", "full", "full"]
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


def test_a_method_that_is_added_later_is_searched_before_anything_else_and_drops_no_confirmed_trial(
    setting: Setting,
) -> None:
    known = simulate_comparison(make_search_recipe(methods=["base", "lora"]), setting, score_best_at(1e-4))
    larger = make_search_recipe(methods=["base", "lora", "full"], seeds=[1, 2, 3, 4])
    planned = plan_trials(larger, setting, known)
    assert known.keys() <= {trial.id for trial in planned}
    first = next(trial for trial in planned if trial.id not in known)
    assert (first.label, first.stage) == ("full", "search")


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
    for seed in (0, SearchOptions().second_seed):
        with pytest.raises(RecipeError, match="fresh"):
            make_search_recipe(seeds=[seed, 1, 2])


def test_a_space_with_an_invalid_value_or_an_unknown_method_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"search\.spaces\.lora\.rank"):
        make_search_recipe({"spaces": {"lora": {"rank": [8, 0]}}})
    with pytest.raises(RecipeError, match="Did you mean 'lora'"):
        make_search_recipe({"spaces": {"lara": {"rank": [8]}}})


def test_only_trials_that_may_still_continue_keep_their_checkpoints(setting: Setting) -> None:
    recipe = make_search_recipe({"widen": False}, ["lora"])
    for stop in range(16):
        known = simulate_comparison(recipe, setting, score_best_at(1e-4), stop_after=stop)
        resumable = Planner(recipe, setting, known).find_resumable()
        assert len(resumable) <= 3
        pending = [t for t in plan_trials(recipe, setting, known) if t.id not in known and t.before]
        assert {t.before.id for t in pending if t.before} <= resumable
    assert Planner(recipe, setting, simulate_comparison(recipe, setting, score_best_at(1e-4))).find_resumable() == set()


def test_tallies_count_all_trials_from_the_start(setting: Setting) -> None:
    recipe = make_search_recipe()
    counted = {name: (tally.done, tally.of) for name, tally in Planner(recipe, setting, {}).tally_stages().items()}
    assert counted == {"search": (0, 30), "confirm": (0, 6), "test": (0, 7)}
    known: dict[str, Record] = simulate_comparison(recipe, setting, score_best_at(1e-4))
    counted = {name: (tally.done, tally.of) for name, tally in Planner(recipe, setting, known).tally_stages().items()}
    assert counted == {"search": (30, 30), "confirm": (6, 6), "test": (7, 7)}


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_an_adaptive_sampler_tries_no_configuration_twice(setting: Setting, sampler: str) -> None:
    space = {"lora": {"learning_rate": [1e-4, 1e-3, 1e-2]}}
    methods = {"lora": {"rank": 4, "alpha": 8, "dropout": 0, "modules": "attention"}}
    recipe = make_search_recipe({"configurations": 6, "sampler": sampler, "rungs": 1, "spaces": space}, methods)
    records = simulate_comparison(recipe, setting, score_best_at(1e-3))
    search = build_searches(recipe, list(records.values()))["lora"]
    assert sorted(t.values["learning_rate"] for t in search.tries) == [1e-4, 1e-3, 1e-2]
    assert search.tokens == (3 + 2) * FULL_TRAINING_TOKENS  # and two of them under a second seed
