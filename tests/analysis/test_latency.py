"""Costs at inference: one time for one network, and a ratio to the base model that other load does not change."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.report.synthetic import judge_records, make_synthetic_run
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.analysis.row import Row
from tuneoff.records.record import Inference, Latency

TOKEN_MS, TOKEN_RATIO = COSTS["token_ms"], COSTS["token_ratio"]


def make_inference(token_ms: float, base_token_ms: float, **changes: Any) -> Inference:
    """An inference whose prefill takes ten times as long as a token."""
    return Inference(
        prompt_tokens=128,
        prefill_ms=10 * token_ms,
        token_ms=token_ms,
        base_prefill_ms=10 * base_token_ms,
        base_token_ms=base_token_ms,
        **changes,
    )


def compare(inferences: Mapping[str, Sequence[Inference | None]]) -> Comparison:
    """Compare methods with these inferences of each seed."""
    seeds = list(range(max(map(len, inferences.values()))))
    run = make_synthetic_run(methods=list(inferences), seeds=seeds)
    records = []
    for record in run.records:
        assert record.costs is not None
        inference = inferences[record.trial.label][record.trial.seed]
        records.append(record.model_copy(update={"costs": record.costs.model_copy(update={"inference": inference})}))
    return judge_records(run, records)


def row_of(comparison: Comparison, label: str) -> Row:
    return next(row for row in comparison.rows if row.label == label)


def test_one_network_has_one_time_and_a_ratio_of_exactly_one_whatever_the_load() -> None:
    comparison = compare(
        {
            "base": [make_inference(68, 70, same_as_base=True)],
            "full": [make_inference(100, 102, same_as_base=True), make_inference(70, 71, same_as_base=True)],
            "lora": [make_inference(90, 91, same_as_base=True), make_inference(70, 66, same_as_base=True)],
        }
    )
    rows = comparison.rows
    for name in ("token_ms", "prefill_ms"):
        assert len({row.amounts[name] for row in rows}) == 1
        assert rows[0].amounts[name].interval is not None
    assert {row.costs["token_ratio"] for row in rows} == {1.0}
    assert 68 < rows[0].costs["token_ms"] < 101
    assert comparison.cost_same(TOKEN_MS, row_of(comparison, "full"), row_of(comparison, "lora"))


def test_another_network_is_compared_with_the_base_model_of_its_own_trial() -> None:
    comparison = compare(
        {
            "base": [make_inference(50, 50, same_as_base=True)],
            "full": [make_inference(50, 50, same_as_base=True)],
            # it ran while the machine was idle, so it looks cheaper than the base model elsewhere
            "soft-prompt": [make_inference(45, 30, same_as_base=False)],
        }
    )
    soft_prompt, full = row_of(comparison, "soft-prompt"), row_of(comparison, "full")
    assert soft_prompt.costs["token_ratio"] == pytest.approx(1.5)
    assert soft_prompt.costs["token_ms"] == pytest.approx(1.5 * full.costs["token_ms"])
    assert not comparison.cost_same(TOKEN_MS, soft_prompt, full)


def test_a_ratio_is_the_median_over_repeats_that_pair_both_models() -> None:
    repeats = tuple(
        Latency(prefill_ms=load * 20, token_ms=load * 2 * factor, base_prefill_ms=load * 10, base_token_ms=load * 1)
        for load, factor in ((1, 1.0), (5, 1.01), (9, 0.99))
    )
    comparison = compare({"base": [None], "soft-prompt": [make_inference(9, 1, repeats=repeats)]})
    amount = row_of(comparison, "soft-prompt").amounts["token_ratio"]
    assert amount.mean == pytest.approx(2.0)
    assert amount.interval is not None
    low, high = amount.interval
    assert 1.9 < low < 2 < high < 2.1
    assert COSTS["token_ratio"].value(row_of(comparison, "soft-prompt").records[0].costs) == pytest.approx(2.0)  # type: ignore[arg-type]  # a record that is done has costs


def test_records_of_older_versions_keep_their_measured_ratio_with_the_tolerance() -> None:
    comparison = compare(
        {"base": [make_inference(50, 51)], "full": [make_inference(54, 50)], "soft-prompt": [make_inference(60, 50)]}
    )
    base, full, soft_prompt = (row_of(comparison, label) for label in ("base", "full", "soft-prompt"))
    assert (base.costs["token_ratio"], full.costs["token_ratio"]) == (1.0, pytest.approx(1.08))
    assert comparison.cost_same(TOKEN_MS, base, full)
    assert not comparison.cost_same(TOKEN_MS, base, soft_prompt)
    assert "token_flops" not in base.costs


def test_seeds_of_which_one_record_is_older_serve_the_same_network() -> None:
    comparison = compare({"full": [make_inference(80, 50), make_inference(50, 50, same_as_base=True)]})
    assert row_of(comparison, "full").costs["token_ratio"] == 1.0


def test_without_a_measurement_there_is_no_cost_at_inference() -> None:
    (row,) = compare({"full": [None, None]}).rows
    assert not {"token_ms", "token_ratio", "prefill_ms", "prefill_ratio"} & row.costs.keys()


def test_a_time_below_zero_from_a_coarse_clock_breaks_nothing() -> None:
    repeats = (Latency(prefill_ms=1, token_ms=-0.1, base_prefill_ms=1, base_token_ms=0.1),) * 2
    comparison = compare({"soft-prompt": [make_inference(-0.1, 0.1, repeats=repeats)]})
    assert comparison.rows[0].costs["token_ratio"] == pytest.approx(-1)
