"""The cost of a comparison with other numbers of seeds and test examples. Expected numbers are worked out by hand."""

import pytest

from tests.budget.samples import make_probe
from tests.samples import make_data_summary, make_recipe
from tuneoff.budget.estimate import estimate_cost
from tuneoff.budget.other_sizes import count_tokens_with, estimate_seconds_with
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe

PROBE = make_probe()
RECIPE: Recipe = make_recipe(
    training={"epochs": 2, "batch_size": 4}, evaluation={"batch_size": 4, "generation": {"batch_size": 4}}
)


def make_data() -> DataSummary:
    data = make_data_summary(80)
    test = data.splits["train"].model_copy(update={"examples": 4, "tokens": 400, "target_tokens": 100})
    return data.model_copy(update={"splits": {**data.splits, "test": test}})


def test_the_recipes_own_sizes_cost_what_the_plan_says() -> None:
    seconds = estimate_seconds_with(RECIPE, make_data(), PROBE, seeds=2, test_examples=4)
    assert seconds == pytest.approx(estimate_cost(RECIPE, make_data(), PROBE).seconds)


def test_another_seed_adds_a_training_and_a_test_of_each_trained_method() -> None:
    two, three = (estimate_seconds_with(RECIPE, make_data(), PROBE, seeds=n, test_examples=4) for n in (2, 3))
    assert three - two == pytest.approx((3 + 4 + 40 * 2 + 3 * 2) + (1 + 4 + (1 + 6 * 0.5) + 7))


def test_more_examples_add_to_every_test_and_to_no_training() -> None:
    few, many = (estimate_seconds_with(RECIPE, make_data(), PROBE, seeds=2, test_examples=n) for n in (4, 12))
    evaluating, reading, generating = 8, 2, 2 * 6 * 0.5  # 800 more tokens, 200 more of prompts, two more batches
    assert many - few == pytest.approx(3 * (evaluating + reading + generating))  # base, and lora with two seeds


def test_without_a_probe_training_counts_three_times_its_tokens() -> None:
    tokens = count_tokens_with(RECIPE, make_data(), seeds=5, test_examples=8)
    assert tokens == 5 * (3 * 2 * 8000 + 800)
