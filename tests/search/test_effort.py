"""Equal seconds: a faster method tries more configurations."""

from collections import Counter
from collections.abc import Mapping

import pytest

from tests.budget.samples import make_costs, make_probe
from tests.samples import make_data_summary, make_search_recipe
from tests.search.simulation import make_record, score_best_at
from tuneoff.budget.estimate import estimate_cost
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import plan_trials
from tuneoff.runner.planner import Planner
from tuneoff.search.effort import MOST_TIMES, compute_token_seconds, scale_configurations
from tuneoff.search.history import build_searches

LABELS = ("lora", "full")
METHODS = {label: {} for label in LABELS}


@pytest.fixture
def recipe() -> Recipe:
    return make_search_recipe({"effort": "seconds", "configurations": 4}, METHODS)


def run(
    recipe: Recipe, setting: Setting, seconds: Mapping[str, float], stop_after: int | None = None
) -> dict[str, Record]:
    """Make the missing records, whose curves take `seconds` per row by label."""
    known: dict[str, Record] = {}
    while missing := [t for t in plan_trials(recipe, setting, known) if t.id not in known]:
        if stop_after is not None and len(known) == stop_after:
            break
        trial: Trial = missing[0]
        record = make_record(trial, score_best_at(1e-4)(trial))
        slower = record.curve[0].model_copy(
            update={"train_seconds": seconds[trial.label] * trial.rungs[-1] * (1 + 0.2 * (len(known) % 3))}
        )
        known[trial.id] = record.model_copy(update={"curve": (slower,)})
    return known


def test_a_method_that_is_twice_as_fast_tries_twice_as_many(recipe: Recipe, setting: Setting) -> None:
    known = run(recipe, setting, {"lora": 10.0, "full": 24.0})  # the second trial of all is full's, 1.2 times as slow
    searches = build_searches(recipe, list(known.values()))
    assert {label: len(search.tries) for label, search in searches.items()} == {"lora": 11, "full": 4}
    assert all(search.finished for search in searches.values())


def test_the_first_trials_decide_so_that_later_ones_and_interruptions_change_nothing(
    recipe: Recipe, setting: Setting
) -> None:
    seconds = {"lora": 10.0, "full": 24.0}
    finished = run(recipe, setting, seconds)
    for stop in range(0, len(finished), 5):
        known = run(recipe, setting, seconds, stop_after=stop)
        assert known.keys() <= finished.keys()
        planned = plan_trials(recipe, setting, known)
        assert {trial.id for trial in planned if trial.stage == "search"} <= finished.keys()
        pending = [trial for trial in planned if trial.id not in known and trial.before]
        assert {trial.before.id for trial in pending if trial.before} <= Planner(
            recipe, setting, known
        ).find_resumable()


def test_the_first_trials_of_all_methods_come_first(recipe: Recipe, setting: Setting) -> None:
    assert [(t.label, t.rungs) for t in plan_trials(recipe, setting, {})] == [(label, (0.25,)) for label in LABELS]


def test_a_much_faster_method_tries_a_limited_number(recipe: Recipe) -> None:
    assert scale_configurations(recipe, "lora", {"lora": 0.1, "full": 10.0}) == MOST_TIMES * 4
    assert scale_configurations(recipe, "full", {"lora": 0.1, "full": 10.0}) == 4


def test_a_method_without_a_measured_speed_counts_as_the_slowest(recipe: Recipe, setting: Setting) -> None:
    assert scale_configurations(recipe, "lora", {"full": 10.0}) == 4
    (trial, *_) = plan_trials(recipe, setting, {})
    assert compute_token_seconds(Record(trial=trial, status="failed", reason="out of memory")) is None


def test_a_small_space_is_not_tried_twice() -> None:
    spaces = {"lora": {"learning_rate": [1e-4, 1e-3]}}
    methods = {"lora": {"rank": 4, "alpha": 8, "dropout": 0, "modules": "attention"}, "full": {}}
    recipe = make_search_recipe({"effort": "seconds", "configurations": 4, "spaces": spaces}, methods)
    assert scale_configurations(recipe, "lora", {"lora": 1.0, "full": 4.0}) == 2


def test_with_equal_tokens_speeds_decide_nothing() -> None:
    recipe = make_search_recipe({"configurations": 4}, METHODS)
    assert scale_configurations(recipe, "lora", {"lora": 1.0, "full": 4.0}) == 4


def test_the_estimate_counts_the_trials_that_the_probed_speeds_give(recipe: Recipe) -> None:
    probe = make_probe(
        lora=make_costs(step={"batch_seconds": 1.0, "token_seconds": 0.0}),
        full=make_costs(step={"batch_seconds": 2.0, "token_seconds": 0.0}),
    )
    entries = estimate_cost(recipe, make_data_summary(80), probe).entries
    first = {e.label: e.trainings for e in entries if e.part == "search" and e.rung == 0.25}
    assert first == {"lora": 6, "full": 2}  # of 8 and 4 configurations, two are last tries


def test_tallies_end_at_the_number_of_trials(recipe: Recipe, setting: Setting) -> None:
    known = run(recipe, setting, {"lora": 10.0, "full": 24.0})
    assert all(tally.done == tally.of for tally in Planner(recipe, setting, known).tally_stages().values())
    assert (
        Counter(r.trial.label for r in known.values())["lora"] > Counter(r.trial.label for r in known.values())["full"]
    )
