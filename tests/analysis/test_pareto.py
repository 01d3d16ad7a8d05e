"""The Pareto front: the methods that no other method dominates in quality and cost."""

import numpy as np
import pytest

from tests.analysis.simulation import Array, make_comparison
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.metrics import ROUGE_L

SECONDS, RATE = COSTS["train_seconds"], COSTS["target_rate"]
CHEAP, COSTLY = {"train_seconds": 10.0}, {"train_seconds": 90.0}


def draw(mean: float, noise: float) -> Array:
    """Scores of three seeds on forty examples with exactly this mean."""
    noise_SE = np.random.default_rng(round(100 * mean)).normal(0, noise, size=(3, 40))
    return np.asarray(mean + noise_SE - noise_SE.mean())


def list_front(comparison: Comparison, cost: Cost = SECONDS) -> list[str]:
    return sorted(comparison.find_front(ROUGE_L, cost))


def get_decision(comparison: Comparison) -> str:
    return comparison.get_pairs(ROUGE_L)[0].decision


def compare(
    better: Array, other: Array, *, better_costs: dict[str, float], other_costs: dict[str, float]
) -> Comparison:
    return make_comparison({"lora": better, "full": other}, {"lora": better_costs, "full": other_costs})


def test_a_better_and_cheaper_method_is_alone_on_the_front() -> None:
    comparison = compare(draw(24, 1), draw(20, 1), better_costs=CHEAP, other_costs=COSTLY)
    assert (get_decision(comparison), list_front(comparison)) == ("matters", ["lora"])


def test_a_better_method_of_equal_cost_is_alone_on_the_front() -> None:
    assert list_front(compare(draw(24, 1), draw(20, 1), better_costs=COSTLY, other_costs=COSTLY)) == ["lora"]


def test_a_better_and_more_expensive_method_shares_the_front_with_the_cheaper_one() -> None:
    assert list_front(compare(draw(24, 1), draw(20, 1), better_costs=COSTLY, other_costs=CHEAP)) == ["full", "lora"]


def test_a_more_expensive_method_that_is_worse_only_within_noise_is_on_the_front() -> None:
    comparison = compare(draw(21, 9), draw(20, 9), better_costs=CHEAP, other_costs=COSTLY)
    assert (get_decision(comparison), list_front(comparison)) == ("open", ["full", "lora"])


def test_a_method_that_is_better_only_within_noise_does_not_dominate_at_equal_cost() -> None:
    assert list_front(compare(draw(21, 9), draw(20, 9), better_costs=COSTLY, other_costs=COSTLY)) == ["full", "lora"]


@pytest.mark.parametrize(
    ("costs", "expected"), [((CHEAP, COSTLY), ["lora"]), ((COSTLY, CHEAP), ["full"])], ids=["better", "other"]
)
def test_of_two_equal_methods_the_cheaper_one_is_on_the_front(
    costs: tuple[dict[str, float], dict[str, float]], expected: list[str]
) -> None:
    comparison = compare(draw(20.1, 0.3), draw(20, 0.3), better_costs=costs[0], other_costs=costs[1])
    assert (get_decision(comparison), list_front(comparison)) == ("equal", expected)


def test_two_equal_methods_of_equal_cost_are_both_on_the_front() -> None:
    assert list_front(compare(draw(20.1, 0.3), draw(20, 0.3), better_costs=COSTLY, other_costs=COSTLY)) == [
        "full",
        "lora",
    ]


def test_of_a_rate_more_is_better() -> None:
    slow, fast = {"target_tokens_per_second": 10.0}, {"target_tokens_per_second": 90.0}
    assert list_front(compare(draw(24, 1), draw(20, 1), better_costs=fast, other_costs=slow), RATE) == ["lora"]
    assert list_front(compare(draw(24, 1), draw(20, 1), better_costs=slow, other_costs=fast), RATE) == ["full", "lora"]


def test_the_base_model_is_not_on_the_front_because_it_costs_no_training() -> None:
    comparison = make_comparison({"base": draw(24, 1)[:1], "lora": draw(20, 1)})
    assert list_front(comparison) == ["lora"]


def test_a_cost_lower_by_less_than_the_tolerance_does_not_dominate() -> None:
    slightly_cheaper, slightly_costlier = {"train_seconds": 86.0}, COSTLY
    equal = compare(draw(20.1, 0.3), draw(20, 0.3), better_costs=slightly_costlier, other_costs=slightly_cheaper)
    assert (get_decision(equal), list_front(equal)) == ("equal", ["full", "lora"])


def test_a_better_method_dominates_one_that_is_cheaper_by_less_than_the_tolerance() -> None:
    comparison = compare(draw(24, 1), draw(20, 1), better_costs=COSTLY, other_costs={"train_seconds": 86.0})
    assert (get_decision(comparison), list_front(comparison)) == ("matters", ["lora"])
