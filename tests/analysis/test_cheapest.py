"""The cheapest of several rows: noise never decides, counted costs do."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.analysis.simulation import make_comparison
from tests.report.synthetic import judge_records
from tuneoff.analysis.cheapest import Cheapest, find_cheapest
from tuneoff.analysis.comparison import Comparison
from tuneoff.records.record import Inference

SCORES_SE = np.full((1, 40), 20.0)


def compare(costs: Mapping[str, Mapping[str, Any]], **verdict: Any) -> Comparison:
    return make_comparison(dict.fromkeys(costs, SCORES_SE), costs, **verdict)


def find(costs: Mapping[str, Mapping[str, Any]], **verdict: Any) -> Cheapest:
    comparison = compare(costs, **verdict)
    by_label = {row.label: row for row in comparison.rows}
    return find_cheapest(comparison, [by_label[label] for label in costs])


def summarize(cheapest: Cheapest) -> tuple[str, str | None, list[str]]:
    return cheapest.row.label, cheapest.by and cheapest.by.name, [row.label for row in cheapest.same]


def test_a_clearly_lower_cost_decides() -> None:
    costs = {"full": {"train_seconds": 100.0}, "lora": {"train_seconds": 80.0}}
    assert summarize(find(costs)) == ("lora", "train_seconds", ["lora"])


def test_a_cost_within_the_tolerance_leaves_the_decision_to_the_counted_costs() -> None:
    costs = {
        "full": {"train_seconds": 100.0, "trainable_parameters": 134_000_000},
        "lora": {"train_seconds": 105.0, "trainable_parameters": 4_900_000},
    }
    assert summarize(find(costs)) == ("lora", "trainable", ["full", "lora"])


def test_rows_that_cost_more_beyond_noise_do_not_reach_the_counted_costs() -> None:
    costs = {
        "full": {"train_seconds": 100.0, "trainable_parameters": 134_000_000},
        "lora": {"train_seconds": 105.0, "trainable_parameters": 4_900_000},
        "soft-prompt": {"train_seconds": 300.0, "trainable_parameters": 10},
    }
    assert summarize(find(costs)) == ("lora", "trainable", ["full", "lora"])


def test_if_all_cost_the_same_the_first_one_stands_for_all() -> None:
    equal = {"train_seconds": 100.0, "trainable_parameters": 5, "adapter_bytes": 1000}
    costs = {"full": equal, "lora": equal | {"adapter_bytes": 1004}}  # longer names in the file
    assert summarize(find(costs)) == ("full", None, ["full", "lora"])


def test_times_for_a_token_that_are_the_same_go_by_the_operations_for_a_token() -> None:
    soft_prompt, lora = (
        Inference(
            prompt_tokens=9, prefill_ms=50, token_ms=ms, base_prefill_ms=50, base_token_ms=50, token_flops=operations
        )
        for ms, operations in ((51, 1100), (52, 1000))
    )
    costs = {
        "soft-prompt": {"inference": soft_prompt, "trainable_parameters": 10},
        "lora": {"inference": lora, "trainable_parameters": 999},
    }
    assert summarize(find(costs, cheaper_by="token_ms")) == ("lora", "token_flops", ["soft-prompt", "lora"])


@pytest.mark.parametrize("cheaper_by", ["train_seconds", "training_memory", "adapter_bytes"])
def test_the_base_model_costs_no_training(cheaper_by: str) -> None:
    assert summarize(find({"lora": {}, "base": {}}, cheaper_by=cheaper_by)) == ("base", cheaper_by, ["base"])


def test_a_cost_that_no_row_has_is_left_to_the_counted_costs() -> None:
    costs = {
        "full": {"training_memory": None, "trainable_parameters": 9},
        "lora": {"training_memory": None, "trainable_parameters": 5},
    }
    assert summarize(find(costs, cheaper_by="training_memory")) == ("lora", "trainable", ["full", "lora"])


def test_a_row_without_the_cost_is_not_the_cheapest() -> None:
    costs: dict[str, dict[str, Any]] = {"full": {}, "lora": {"inference": None, "trainable_parameters": 1}}
    assert summarize(find(costs, cheaper_by="token_ms")) == ("full", "token_ms", ["full"])


def test_noise_seldom_chooses_the_cheapest() -> None:
    """Two methods whose training takes equally long: the one with fewer parameters is chosen, not the luckier one."""
    generator = np.random.default_rng(8)
    comparison = make_comparison({"full": np.full((3, 8), 20.0), "lora": np.full((3, 8), 20.0)})
    chosen = []
    for _ in range(60):
        records = [
            record.model_copy(
                update={"costs": record.costs.model_copy(update={"train_seconds": 100 * generator.lognormal(0, 0.2)})}
            )
            for record in comparison.run.records
            if record.costs
        ]
        noisy = judge_records(comparison.run, records)
        chosen.append(find_cheapest(noisy, noisy.rows).row.label)
    assert chosen.count("lora") >= 55
