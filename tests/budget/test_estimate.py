"""What a probe measured, multiplied by the plan's work. Every number is worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.budget.samples import GB, make_costs, make_probe
from tests.samples import make_data_summary, make_recipe, make_search_recipe
from tuneoff.budget.estimate import CostEstimate, estimate_cost
from tuneoff.budget.plan import Capacity
from tuneoff.budget.probe import Batches, Probe, Rate
from tuneoff.budget.timing import fit_rate
from tuneoff.budget.workload import count_prompt_batches
from tuneoff.models.greedy_decoding import READ_TOGETHER
from tuneoff.report.budget_table import list_misfits


def seconds(found: CostEstimate) -> dict[tuple[str, str, float], float]:
    return {(e.label, e.part, e.rung): pytest.approx(e.seconds) for e in found.entries}


def test_a_confirmed_trial_is_loaded_rehearsed_trained_validated_and_tested() -> None:
    recipe = make_recipe(methods=["base", "lora"], training={"epochs": 2, "batch_size": 4}, seeds=[1, 2])
    training = 3 + 4 + 40 * 2 + 3 * 2  # one validation before the first step, and one after each epoch
    test = 1 + 4 + (1 + 6 * 0.5) + 7
    assert seconds(estimate_cost(recipe, make_data_summary(80), make_probe())) == {
        ("base", "test", 1.0): 3 + 2 + test,
        ("lora", "confirm", 1.0): 2 * training,
        ("lora", "test", 1.0): 2 * test,
    }


def test_a_rung_pays_for_its_own_steps_and_loads_anew() -> None:
    recipe = make_search_recipe(methods=["base", "lora"], training={"epochs": 2, "batch_size": 4})
    found = seconds(estimate_cost(recipe, make_data_summary(80), make_probe()))
    assert found["lora", "search", 0.25] == 8 * (3 + 4 + 2 + 10 * 2 + 2)
    assert found["lora", "search", 0.5] == 4 * (3 + 4 + 10 * 2 + 2)
    assert found["lora", "search", 1.0] == 2 * (3 + 4 + 20 * 2 + 2)


def test_a_search_that_compares_predictions_pays_for_them() -> None:
    training = {"epochs": 2, "batch_size": 4}
    by_loss = make_search_recipe(methods=["base", "lora"], training=training)
    by_rouge = make_search_recipe(methods=["base", "lora"], training=training, search={"metric": "rougeL"})
    each = 2 + (0.5 + 6 * 0.5)
    first, second = (
        seconds(estimate_cost(r, make_data_summary(80), make_probe()))["lora", "search", 0.25]
        for r in (by_loss, by_rouge)
    )
    assert second.expected == pytest.approx(first.expected + 8 * each)


def test_the_trunk_is_paid_for_once_by_the_first_part() -> None:
    recipe = make_recipe(methods=["base", "last-layer"], training={"epochs": 2, "batch_size": 4}, seeds=[1, 2])
    without, with_it = make_costs(), make_costs(trunk={"token_seconds": 0.1})
    one, other = (
        estimate_cost(recipe, make_data_summary(80), make_probe(**{"last-layer": c})) for c in (without, with_it)
    )
    more = {e.part: b.seconds - e.seconds for e, b in zip(one.entries, other.entries, strict=True) if b.label != "base"}
    assert more == {"confirm": pytest.approx(50), "test": pytest.approx(0)}


def test_the_sum_has_what_belongs_to_no_method_too() -> None:
    found = estimate_cost(make_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe())
    assert found.seconds == pytest.approx(sum(e.seconds for e in found.entries) + 5 + 6)


def test_the_disk_holds_adapters_of_all_seeds_and_the_checkpoints_of_a_search_at_its_widest() -> None:
    found = estimate_cost(make_search_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe())
    assert found.disk["trained weights"] == 3 * 1000 + 1000  # the untouched model has one seed
    assert found.disk["checkpoints"] == 4 * 4000 + 2 * 4000


def test_what_does_not_fit_is_named_with_its_cure() -> None:
    found = estimate_cost(
        make_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe(lora=make_costs(training_bytes=9 * GB))
    )
    memory, disk, time = list_misfits(found, Capacity(memory_bytes=8 * GB, disk_bytes=1000, seconds=10))
    assert memory.startswith("lora does not fit into memory: the confirm stage needs 9.00 GB, and 8.00 GB are")
    assert "training.batch_size" in memory
    assert "1 kB are free" in disk
    assert "budget" in time


def test_nothing_is_said_where_all_fits() -> None:
    found = estimate_cost(make_recipe(methods=["base", "lora"]), make_data_summary(80), make_probe())
    assert list_misfits(found, Capacity(memory_bytes=8 * GB, disk_bytes=10 * GB, seconds=1e6)) == ()


@given(st.floats(0, 5), st.floats(0, 0.1), st.lists(st.integers(1, 2000), min_size=2, max_size=6, unique=True))
def test_a_rate_is_found_again_from_what_it_says(fixed: float, each: float, tokens: list[int]) -> None:
    found = fit_rate(tokens, [fixed + each * number for number in tokens])
    for number in tokens:
        assert found.estimate_seconds(Batches(count=1, tokens=number)) == pytest.approx(fixed + each * number, abs=1e-6)


@given(st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 10)), min_size=1, max_size=6))
def test_no_rate_is_below_zero(measured: list[tuple[int, float]]) -> None:
    found = fit_rate([tokens for tokens, _ in measured], [seconds for _, seconds in measured])
    assert found.batch_seconds >= 0
    assert found.token_seconds >= 0


def test_a_probe_is_read_from_what_it_was_written_as() -> None:
    assert Probe.model_validate_json(make_probe().model_dump_json()) == make_probe()


def test_rates_are_per_batch_and_per_token() -> None:
    assert Rate(batch_seconds=2, token_seconds=0.5).estimate_seconds(Batches(count=3, tokens=10)) == 11


def test_prompts_are_priced_as_they_are_read_and_answered() -> None:
    lengths = [10] * READ_TOGETHER + [6, 4]
    assert count_prompt_batches(lengths, 64) == Batches(count=1, tokens=READ_TOGETHER * 10 + 2 * 6)
    assert count_prompt_batches(lengths, 2) == Batches(count=READ_TOGETHER // 2 + 1, tokens=READ_TOGETHER * 10 + 2 * 6)
