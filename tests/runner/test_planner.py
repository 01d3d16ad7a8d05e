"""A plan that follows its records is the one that is made from all of them, and does not slow down."""

import cProfile
import multiprocessing
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from tests.samples import make_recipe, make_search_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Epoch, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import plan_trials
from tuneoff.runner.planner import Planner
from tuneoff.search import sampling

SEARCHED = {"base": {}, "lora": {}, "full": {}, "last-layer": {}}


def end(trial: Trial) -> Record:
    """A record whose score depends on the rate alone, and whose speed on the method."""
    loss = abs(trial.hyperparameters.get("learning_rate", 1.0) * 1000 - 1) + len(trial.label) / 10
    row = Epoch(
        epoch=1, steps=1, train_loss=1.0, validation_loss=loss, learning_rate=1e-3, real_tokens=100, target_tokens=50,
        train_seconds=float(len(trial.label)), evaluation_seconds=0.0,
    )  # fmt: skip
    return Record(trial=trial, status="done", scores={"validation/loss": loss}, curve=(row,))


RECIPES: dict[str, Callable[[], Recipe]] = {
    "no search": lambda: make_recipe(seeds=[0, 1, 2]),
    "search": lambda: make_search_recipe(methods=SEARCHED),
    "equal seconds": lambda: make_search_recipe(methods=SEARCHED, search={"configurations": 5, "effort": "seconds"}),
    "adaptive": lambda: make_search_recipe(methods={"lora": {}}, search={"configurations": 5, "sampler": "random"}),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_plan_that_follows_its_records_is_that_of_all_records(name: str, setting: Setting) -> None:
    recipe, known = RECIPES[name](), dict[str, Record]()
    planner = Planner(recipe, setting, known)
    while trial := planner.find_next():
        anew = Planner(recipe, setting, known)
        assert planner.trials == anew.trials
        assert planner.tally_stages() == anew.tally_stages()
        assert planner.find_resumable() == anew.find_resumable()
        known[trial.id] = end(trial)
        planner.add(known[trial.id])
    assert {trial.id for trial in plan_trials(recipe, setting, known)} == known.keys()
    assert all(tally.done == tally.of for tally in planner.tally_stages().values())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("seed", range(5))
def test_trials_that_end_in_any_order_are_those_of_one_after_another(name: str, seed: int, setting: Setting) -> None:
    """No trial is opened before what it depends on is certain: a confirmed one looks at the test split."""
    recipe, draw = RECIPES[name](), random.Random(seed)
    alone, together = Planner(recipe, setting, {}), Planner(recipe, setting, {})
    while trial := alone.find_next():
        alone.add(end(trial))
    slow = draw.choice([*recipe.methods])
    while opened := together.list_open():
        quick = [trial for trial in opened if trial.label != slow]
        together.add(end(draw.choice(quick or opened)))
    assert {trial.id for trial in together.trials} == {trial.id for trial in alone.trials}
    assert together._known.keys() == alone._known.keys()


def test_a_method_is_confirmed_while_the_search_of_another_goes_on(setting: Setting) -> None:
    planner = Planner(make_search_recipe(methods=SEARCHED), setting, {})
    while quick := [trial for trial in planner.list_open() if trial.label != "full"]:
        planner.add(end(quick[0]))
    assert {trial.label for trial in planner.trials if trial.stage == "confirm"} == {"base", "lora", "last-layer"}
    assert {trial.label for trial in planner.list_open()} == {"full"}


def test_each_checkpoint_is_needless_once(setting: Setting) -> None:
    recipe = make_search_recipe(methods=SEARCHED)
    planner, needless = Planner(recipe, setting, {}), list[str]()
    while trial := planner.find_next():
        planner.add(end(trial))
        needless += planner.take_needless_checkpoints(trial.label)
        assert not set(needless) & planner.find_resumable()
    assert sorted(needless) == sorted(trial.id for trial in planner.trials)


def run_through(recipe: Recipe, setting: Setting) -> int:
    """Plan to the end; return the number of trials."""
    planner, trials = Planner(recipe, setting, {}), 0
    while trial := planner.find_next():
        planner.add(end(trial))
        planner.take_needless_checkpoints(trial.label)
        planner.tally_stages()
        trials += 1
    return trials


def make_many(methods: int, configurations: int, seeds: int) -> Recipe:
    labels: dict[str, Any] = {f"lora-{i}": {"method": "lora"} for i in range(methods)}
    return make_search_recipe(
        methods=labels, search={"configurations": configurations}, seeds=list(range(10, 10 + seeds))
    )


def count_calls(recipe: Recipe, setting: Setting) -> float:
    """Return how many functions planning calls for each trial."""
    profile = cProfile.Profile()
    trials = profile.runcall(run_through, recipe, setting)
    return sum(entry.callcount for entry in profile.getstats()) / trials


@pytest.mark.parametrize(("large", "growth"), [((20, 8, 5), 1.5), ((5, 32, 5), 2.5)])
def test_four_times_as_many_methods_or_configurations_take_less_than_four_times_the_work_for_a_trial(
    large: tuple[int, int, int], growth: float, setting: Setting
) -> None:
    # In a process of its own: in one whose interpreter has a pending call that never ends, as libraries of other tests
    # leave it, Python 3.11 does not get beyond the first signal while it is profiled.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        few, many = (process.submit(count_calls, make_many(*size), setting).result() for size in ((5, 8, 5), large))
    assert many < growth * few


def test_points_of_a_design_are_drawn_once(monkeypatch: pytest.MonkeyPatch, setting: Setting) -> None:
    original, drawn = sampling._iterate_points, 0

    def count_points(*arguments: Any) -> Any:
        nonlocal drawn
        for point in original(*arguments):
            drawn += 1
            yield point

    monkeypatch.setattr(sampling, "_iterate_points", count_points)
    monkeypatch.setattr(sampling, "_designs", {})
    run_through(make_many(5, 8, 2), setting)
    assert drawn < 100
