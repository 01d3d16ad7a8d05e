"""Estimates: what a probe measured times the work of the plan. The expected numbers are worked out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.budget.samples import GB, make_costs, make_probe
from tests.report.synthetic import make_synthetic_data
from tests.samples import make_data_summary, make_recipe, make_search_recipe
from tuneoff.analysis.plan import Capacity
from tuneoff.budget.estimate import CostEstimate, estimate_cost
from tuneoff.budget.other_sizes import estimate_seconds_with
from tuneoff.budget.probe import Batches, Probe, Rate
from tuneoff.budget.timing import fit_rate
from tuneoff.budget.workload import count_prompt_batches
from tuneoff.models.greedy_decoding import READ_TOGETHER
from tuneoff.report.budget_table import list_misfits


def get_seconds(estimate: CostEstimate) -> dict[tuple[str, str, float], Any]:
    """Return the seconds by label, part and the share where the training ends; "straight" if it starts at zero."""
    return {
        (e.label, "straight" if e.part == "search" and (e.previous_rung, e.rung) == (0, 1) else e.part, e.rung): (
            pytest.approx(e.seconds)
        )
        for e in estimate.entries
    }


def test_a_confirmed_trial_pays_for_loading_dry_run_training_validation_and_test() -> None:
    recipe = make_recipe(methods=["base", "lora"], training={"epochs": 2, "batch_size": 4}, seeds=[1, 2])
    training = 3 + 4 + 40 * 2 + 3 * 2  # one validation before the first step, and one after each epoch
    test = 1 + 4 + (1 + 6 * 0.5) + 7
    assert get_seconds(estimate_cost(recipe, make_data_summary(80), make_probe())) == {
        ("base", "test", 1.0): 3 + 2 + test,
        ("lora", "confirm", 1.0): 2 * training,
        ("lora", "test", 1.0): 2 * test,
    }


def test_each_rung_pays_for_its_own_steps_and_for_loading_again() -> None:
    recipe = make_search_recipe(methods=["base", "lora"], training={"epochs": 2, "batch_size": 4})
    by_part = get_seconds(estimate_cost(recipe, make_data_summary(80), make_probe()))
    assert by_part["lora", "search", 0.25] == 6 * (3 + 4 + 2 + 10 * 2 + 2)
    assert by_part["lora", "search", 0.5] == 3 * (3 + 4 + 10 * 2 + 2)
    assert by_part["lora", "search", 1.0] == 2 * (3 + 4 + 20 * 2 + 2)
    assert by_part["lora", "straight", 1.0] == (2 + 2) * (3 + 4 + 2 + 40 * 2 + 2 * 2)  # last tries, second seed


def test_a_search_that_compares_predictions_pays_for_generating_them() -> None:
    training = {"epochs": 2, "batch_size": 4}
    by_loss = make_search_recipe(methods=["base", "lora"], training=training)
    by_rouge = make_search_recipe(methods=["base", "lora"], training=training, search={"metric": "rougeL"})
    loss_seconds, rouge_seconds = (
        get_seconds(estimate_cost(recipe, make_data_summary(80), make_probe()))["lora", "search", 0.25]
        for recipe in (by_loss, by_rouge)
    )
    generation_seconds = 2 + (0.5 + 6 * 0.5)
    assert rouge_seconds.expected == pytest.approx(loss_seconds.expected + 6 * generation_seconds)


def test_the_pass_through_the_trunk_is_paid_once_by_the_first_part() -> None:
    recipe = make_recipe(methods=["base", "last-layer"], training={"epochs": 2, "batch_size": 4}, seeds=[1, 2])
    without_trunk, with_trunk = (
        estimate_cost(recipe, make_data_summary(80), make_probe(**{"last-layer": costs}))
        for costs in (make_costs(), make_costs(trunk={"token_seconds": 0.1}))
    )
    difference = {
        before.part: after.seconds - before.seconds
        for before, after in zip(without_trunk.entries, with_trunk.entries, strict=True)
        if before.label != "base"
    }
    assert difference == {"confirm": pytest.approx(50), "test": pytest.approx(0)}


def test_the_total_includes_seconds_that_belong_to_no_method() -> None:
    estimate = estimate_cost(make_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe())
    assert estimate.seconds == pytest.approx(sum(e.seconds for e in estimate.entries) + 5 + 6)


def test_disk_space_is_that_of_all_adapters_and_of_the_most_checkpoints_that_a_search_keeps() -> None:
    estimate = estimate_cost(make_search_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe())
    assert estimate.disk["trained weights"] == 3 * 1000 + 1000  # the base model has one seed
    assert estimate.disk["checkpoints"] == 3 * 4000 + 2 * 4000


def test_memory_disk_or_time_that_does_not_fit_is_listed_with_how_to_fix_it() -> None:
    estimate = estimate_cost(
        make_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe(lora=make_costs(training_bytes=9 * GB))
    )
    memory, disk, time = list_misfits(estimate, Capacity(memory_bytes=8 * GB, disk_bytes=1000, seconds=10))
    assert memory.startswith("lora does not fit into memory: the confirm stage needs 9.00 GB, and 8.00 GB are")
    assert "training.batch_size" in memory
    assert "1 kB are free" in disk
    assert "budget" in time


def test_nothing_is_listed_if_everything_fits() -> None:
    estimate = estimate_cost(make_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe())
    assert list_misfits(estimate, Capacity(memory_bytes=8 * GB, disk_bytes=10 * GB, seconds=1e6)) == ()


@given(st.floats(0, 5), st.floats(0, 0.1), st.lists(st.integers(1, 2000), min_size=2, max_size=6, unique=True))
def test_a_rate_is_recovered_from_the_seconds_it_predicts(
    per_batch: float, per_token: float, tokens: list[int]
) -> None:
    rate = fit_rate(tokens, [per_batch + per_token * number for number in tokens])
    for number in tokens:
        seconds = rate.estimate_seconds(Batches(count=1, tokens=number))
        assert seconds == pytest.approx(per_batch + per_token * number, abs=1e-6)


@given(st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 10)), min_size=1, max_size=6))
def test_a_fitted_rate_is_never_negative(measured: list[tuple[int, float]]) -> None:
    rate = fit_rate([tokens for tokens, _ in measured], [seconds for _, seconds in measured])
    assert rate.batch_seconds >= 0
    assert rate.token_seconds >= 0


def test_a_probe_is_equal_after_writing_and_reading() -> None:
    assert Probe.model_validate_json(make_probe().model_dump_json()) == make_probe()


def test_a_rate_counts_batches_and_tokens() -> None:
    assert Rate(batch_seconds=2, token_seconds=0.5).estimate_seconds(Batches(count=3, tokens=10)) == 11


def test_prompts_are_counted_in_the_batches_that_read_and_answer_them() -> None:
    lengths = [10] * READ_TOGETHER + [6, 4]
    assert count_prompt_batches(lengths, 64) == Batches(count=1, tokens=READ_TOGETHER * 10 + 2 * 6)
    assert count_prompt_batches(lengths, 2) == Batches(count=READ_TOGETHER // 2 + 1, tokens=READ_TOGETHER * 10 + 2 * 6)


def test_the_trunk_is_computed_once_for_each_train_sample() -> None:
    probe = make_probe(lora=make_costs(trunk={"token_seconds": 0.1}, trunk_bytes=1000))
    sampled = {"data": {"source": "aclsum", "sizes": {"train": 80}}, "replicates": 3}
    recipes = {seeds: make_search_recipe(methods=["base", "lora"], **change)
               for seeds, change in (("seeds", {"seeds": [1, 2, 3]}), ("replicates", sampled))}  # fmt: skip
    estimates = {name: estimate_cost(recipe, make_data_summary(80), probe) for name, recipe in recipes.items()}
    assert estimates["replicates"].seconds - estimates["seeds"].seconds == pytest.approx(3 * 50)
    assert (estimates["seeds"].disk["trunk outputs"], estimates["replicates"].disk["trunk outputs"]) == (1000, 4000)


def test_a_method_with_longer_prompts_pays_for_them() -> None:
    recipe = make_recipe(methods=["base", "base-few-shot"], seeds=[1])
    work = make_probe().work
    longer = work.model_copy(
        update={
            "validation": Batches(count=2, tokens=5 * work.validation.tokens),
            "evaluation": Batches(count=4, tokens=5 * work.evaluation.tokens),
            "prompts": Batches(count=1, tokens=5 * work.prompts.tokens),
        }
    )
    probe = make_probe(**{"base-few-shot": make_probe().costs["base"].model_copy(update={"work": longer})})
    seconds = get_seconds(estimate_cost(recipe, make_data_summary(80), probe))
    more_tokens = 4 * (200 + 400 + 100)
    base, few_shot = (seconds[label, "test", 1.0].expected for label in ("base", "base-few-shot"))
    assert few_shot == pytest.approx(base + 0.01 * more_tokens)


def test_more_test_examples_with_longer_prompts_cost_more() -> None:
    recipe, data = make_recipe(methods=["base", "base-few-shot"], seeds=[1]), make_synthetic_data()
    work = make_probe().work
    longer = work.model_copy(update={"prompts": Batches(count=1, tokens=3 * work.prompts.tokens)})
    base = make_probe().costs["base"]
    same, own = (make_probe(**{"base-few-shot": base.model_copy(update={"work": w})}) for w in (work, longer))
    twice = 2 * data.splits["test"].examples
    added = [
        estimate_seconds_with(recipe, data, probe, seeds=1, test_examples=twice)
        - estimate_seconds_with(recipe, data, probe, seeds=1, test_examples=twice // 2)
        for probe in (same, own)
    ]
    assert added[1] > added[0]
