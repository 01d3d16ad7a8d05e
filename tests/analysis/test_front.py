"""The Pareto front: what nothing beats in quality and cost together, beyond noise."""

import numpy as np
import pytest

from tests.analysis.simulation import Array, make_comparison
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.records.metrics import ROUGE_L

SECONDS, RATE = COSTS["train_seconds"], COSTS["target_rate"]
CHEAP, DEAR = {"train_seconds": 10.0}, {"train_seconds": 90.0}


def scores(mean: float, noise: float) -> Array:
    """Three seeds on forty examples, with exactly that mean."""
    noise_SE = np.random.default_rng(round(100 * mean)).normal(0, noise, size=(3, 40))
    return np.asarray(mean + noise_SE - noise_SE.mean())


def front(comparison: Comparison, cost: Cost = SECONDS) -> list[str]:
    return sorted(comparison.find_front(ROUGE_L, cost))


def decision(comparison: Comparison) -> str:
    return comparison.get_pairs(ROUGE_L)[0].decision


def two(better: Array, other: Array, *, better_costs: dict[str, float], other_costs: dict[str, float]) -> Comparison:
    return make_comparison({"lora": better, "full": other}, {"lora": better_costs, "full": other_costs})


def test_what_is_better_and_cheaper_stands_alone() -> None:
    found = two(scores(24, 1), scores(20, 1), better_costs=CHEAP, other_costs=DEAR)
    assert (decision(found), front(found)) == ("different", ["lora"])


def test_what_is_better_and_as_dear_stands_alone() -> None:
    assert front(two(scores(24, 1), scores(20, 1), better_costs=DEAR, other_costs=DEAR)) == ["lora"]


def test_what_is_better_and_dearer_leaves_the_cheaper_its_place() -> None:
    assert front(two(scores(24, 1), scores(20, 1), better_costs=DEAR, other_costs=CHEAP)) == ["full", "lora"]


def test_what_is_worse_and_dearer_only_within_noise_is_not_beaten() -> None:
    found = two(scores(21, 9), scores(20, 9), better_costs=CHEAP, other_costs=DEAR)
    assert (decision(found), front(found)) == ("open", ["full", "lora"])


def test_what_is_better_only_within_noise_does_not_beat_at_equal_cost() -> None:
    assert front(two(scores(21, 9), scores(20, 9), better_costs=DEAR, other_costs=DEAR)) == ["full", "lora"]


@pytest.mark.parametrize(
    ("costs", "left"), [((CHEAP, DEAR), ["lora"]), ((DEAR, CHEAP), ["full"])], ids=["better", "other"]
)
def test_of_two_that_are_shown_to_be_equal_the_cheaper_stays(
    costs: tuple[dict[str, float], dict[str, float]], left: list[str]
) -> None:
    found = two(scores(20.1, 0.3), scores(20, 0.3), better_costs=costs[0], other_costs=costs[1])
    assert (decision(found), front(found)) == ("equal", left)


def test_of_two_that_are_equal_and_cost_the_same_both_stay() -> None:
    assert front(two(scores(20.1, 0.3), scores(20, 0.3), better_costs=DEAR, other_costs=DEAR)) == ["full", "lora"]


def test_a_cost_of_which_more_is_better_is_turned_around() -> None:
    slow, fast = {"target_tokens_per_second": 10.0}, {"target_tokens_per_second": 90.0}
    assert front(two(scores(24, 1), scores(20, 1), better_costs=fast, other_costs=slow), RATE) == ["lora"]
    assert front(two(scores(24, 1), scores(20, 1), better_costs=slow, other_costs=fast), RATE) == ["full", "lora"]


def test_the_untouched_model_which_costs_nothing_to_train_is_left_out() -> None:
    found = make_comparison({"base": scores(24, 1)[:1], "lora": scores(20, 1)})
    assert front(found) == ["lora"]
