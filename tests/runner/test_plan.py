"""The trials and stages of a comparison, from its recipe and the records that exist."""

from typing import Any

from tests.samples import make_data_summary, make_recipe, make_search_recipe
from tuneoff.methods import METHODS
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import select_records
from tuneoff.runner.stages import plan_stages


def make_failed_record(setting: Setting, label: str, seed: int, **changes: Any) -> Record:
    method = METHODS["base" if label == "base" else "lora"].read(changes)
    trial = Trial(
        label=label, method=method.name, hyperparameters=method.model_dump(mode="json"), setting=setting, seed=seed
    )
    return Record(trial=trial, status="failed", reason="x")


def test_records_are_selected_in_the_order_of_the_recipe(setting: Setting) -> None:
    records = [make_failed_record(setting, label, seed) for label, seed in (("lora", 1), ("base", 0), ("lora", 0))]
    assert [(r.trial.label, r.trial.seed) for r in select_records(make_recipe(), records)] == [
        ("base", 0),
        ("lora", 0),
        ("lora", 1),
    ]


def test_records_of_methods_that_are_no_longer_in_the_recipe_are_left_out(setting: Setting) -> None:
    assert select_records(make_recipe(), [make_failed_record(setting, "gone", 0)]) == ()


def test_records_of_a_method_with_other_hyperparameters_than_in_the_recipe_are_left_out(setting: Setting) -> None:
    """Otherwise rank 8 and rank 16 would be averaged as two seeds of one method."""
    assert select_records(make_recipe(), [make_failed_record(setting, "lora", 0, rank=16)]) == ()


def count_work(recipe: Recipe) -> dict[tuple[str, str, float, float], tuple[int, int, int]]:
    """Return the trainings, steps and tokens of each stage, by method, name, and the shares from and to."""
    stages = plan_stages(recipe, make_data_summary(80), [label for label in recipe.methods if label != "base"])
    return {(s.label, s.name, s.previous_rung, s.rung): (s.trainings, s.steps, s.trained_tokens) for s in stages}


def test_a_stage_counts_the_steps_and_tokens_beyond_the_previous_rung() -> None:
    recipe = make_search_recipe(methods=["base", "lora"], training={"epochs": 2, "batch_size": 4})
    assert count_work(recipe) == {
        ("base", "confirm", 1.0, 1.0): (1, 0, 0),
        ("lora", "search", 0.0, 0.25): (6, 60, 24_000),
        ("lora", "search", 0.25, 0.5): (3, 30, 12_000),
        ("lora", "search", 0.5, 1.0): (2, 40, 16_000),
        ("lora", "search", 0.0, 1.0): (4, 160, 64_000),  # two last tries, and the best two under a second seed
        ("lora", "confirm", 0.0, 1.0): (3, 120, 48_000),
    }


def test_without_a_search_every_method_is_confirmed_with_the_seeds_of_the_recipe() -> None:
    recipe = make_recipe(training={"epochs": 1, "batch_size": 8})
    assert count_work(recipe) == {
        ("base", "confirm", 1.0, 1.0): (1, 0, 0),
        ("lora", "confirm", 0.0, 1.0): (2, 20, 16_000),
    }
