"""What a comparison wants: pure, from a recipe and the records that are there."""

from collections.abc import Mapping
from typing import Any

from tests.samples import make_data_summary, make_recipe, make_search_recipe
from tuneoff.methods import METHODS
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import select_records
from tuneoff.runner.stages import plan_stages


def failed(setting: Setting, label: str, seed: int, **changes: Any) -> Record:
    method = METHODS["base" if label == "base" else "lora"].read(changes)
    trial = Trial(
        label=label, method=method.name, hyperparameters=method.model_dump(mode="json"), setting=setting, seed=seed
    )
    return Record(trial=trial, status="failed", reason="x")


def test_records_are_read_in_the_recipes_order(setting: Setting) -> None:
    there = [failed(setting, label, seed) for label, seed in (("lora", 1), ("base", 0), ("lora", 0))]
    assert [(r.trial.label, r.trial.seed) for r in select_records(make_recipe(), there)] == [
        ("base", 0),
        ("lora", 0),
        ("lora", 1),
    ]


def test_records_of_methods_that_the_recipe_no_longer_has_are_left_out(setting: Setting) -> None:
    assert select_records(make_recipe(), [failed(setting, "gone", 0)]) == ()


def test_records_of_a_method_that_the_recipe_has_otherwise_now_are_left_out(setting: Setting) -> None:
    """Or a rank 8 and a rank 16 would be averaged as two seeds of one method."""
    assert select_records(make_recipe(), [failed(setting, "lora", 0, rank=16)]) == ()


def worked(recipe: Recipe) -> Mapping[tuple[str, str, float], tuple[int, int, int]]:
    found = plan_stages(recipe, make_data_summary(80), [label for label in recipe.methods if label != "base"])
    return {(s.label, s.name, s.rung): (s.trainings, s.steps, s.trained_tokens) for s in found}


def test_the_tree_counts_what_each_stage_trains_beyond_the_one_before() -> None:
    recipe = make_search_recipe(methods=["base", "lora"], training={"epochs": 2, "batch_size": 4})
    assert worked(recipe) == {
        ("base", "confirm", 1.0): (1, 0, 0),
        ("lora", "search", 0.25): (8, 80, 32_000),
        ("lora", "search", 0.5): (4, 40, 16_000),
        ("lora", "search", 1.0): (2, 40, 16_000),
        ("lora", "confirm", 1.0): (3, 120, 48_000),
    }


def test_without_a_search_every_method_is_confirmed_under_the_recipes_seeds() -> None:
    recipe = make_recipe(training={"epochs": 1, "batch_size": 8})
    assert worked(recipe) == {("base", "confirm", 1.0): (1, 0, 0), ("lora", "confirm", 1.0): (2, 20, 16_000)}
