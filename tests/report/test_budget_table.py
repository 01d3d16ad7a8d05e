"""The table of predicted and actual costs, and how an unfinished comparison is marked."""

from dataclasses import replace

import pytest

from tests.budget.samples import make_costs, make_probe
from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.budget.estimate import estimate_trial_seconds
from tuneoff.budget.shrink import Fit, get_size
from tuneoff.budget.spending import Spending, Spent
from tuneoff.report.budget_table import compare_with_estimate
from tuneoff.report.format import format_money
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.setting import list_setting_facts
from tuneoff.report.tables import format_latex_table, format_markdown_table

GB = 10**9


@pytest.fixture
def comparison() -> Comparison:
    """A run whose trials took 50 % longer than predicted, and the rest of it 20 s."""
    run = make_synthetic_run(methods=["base", "lora"], seeds=[0], budget="1h")
    sample_probe = make_probe(lora=make_costs(training_bytes=1 * GB))
    took = {
        record.trial.id: {
            part: 1.5 * s for part, s in estimate_trial_seconds(record.trial, run.recipe, sample_probe).items()
        }
        for record in run.records
    }
    seconds = sum(sum(parts.values()) for parts in took.values()) + sample_probe.probe_seconds + 20
    return judge(run, Spending(probe=sample_probe, spent=Spent(seconds=seconds, trials=took)))


def test_each_part_of_a_method_has_its_prediction_and_its_actual_cost(comparison: Comparison) -> None:
    lines = {(line.label, line.name): line for line in compare_with_estimate(comparison)}
    assert list(lines) == [
        ("base", "test"),
        ("lora", "confirm"),
        ("lora", "test"),
        (None, "loading data and model, writing the report"),
        (None, "total"),
    ]
    assert {lines["lora", part].time_error for part in ("confirm", "test")} == {"−33 %"}
    confirm = lines["lora", "confirm"]
    assert (confirm.predicted_memory, confirm.actual_memory, confirm.memory_error) == ("1.00 GB", "2.14 GB", "−53 %")


def test_the_line_without_a_method_is_the_rest_of_the_run_without_its_probe(comparison: Comparison) -> None:
    *_, rest, total = compare_with_estimate(comparison)
    assert (rest.predicted, rest.actual) == ("11 s", "20 s")
    assert total.label is None


def test_without_a_probe_nothing_was_predicted() -> None:
    assert compare_with_estimate(judge(make_synthetic_run(methods=["base", "lora"]))) == ()


def test_trials_that_have_not_run_are_neither_in_the_prediction_nor_in_the_actual_cost(comparison: Comparison) -> None:
    only = judge(replace(comparison.run, records=comparison.run.records[:1]), comparison.spending)
    assert [line.label for line in compare_with_estimate(only)] == ["base", None, None]


def test_money_is_hours_times_the_price_per_hour() -> None:
    assert format_money(5400, 2.1) == "3.15"


def test_exported_tables_say_that_they_are_partial(comparison: Comparison) -> None:
    half = judge(replace(comparison.run, records=comparison.run.records[:1]))
    assert "Partial: not every trial of the recipe has been run." in format_markdown_table(half)
    assert "Partial: not every trial" in format_latex_table(half)
    assert "Partial" not in format_markdown_table(comparison)


def test_the_verdict_says_how_much_more_time_the_rest_would_take(comparison: Comparison) -> None:
    half = judge(replace(comparison.run, records=comparison.run.records[:1]), comparison.spending)
    training, test = estimate_trial_seconds(
        comparison.run.records[1].trial, comparison.run.recipe, make_probe()
    ).values()
    remaining = training + test + 5 + 6
    assert f"predicted to take {remaining // 60:.0f} min {remaining % 60:.0f} s more" in " ".join(
        describe_verdict(half).details
    )


def test_what_the_budget_cut_is_in_the_verdict_and_in_the_setting(comparison: Comparison) -> None:
    cut = ("4 configurations of each search in place of 8", "seed 1 in place of 1, 2")
    size = get_size(comparison.run.recipe)
    fit = Fit.model_validate(
        {"budget": {"time": "1h"}, "asked": size, "left": size, "whole_seconds": 3600.0,
         "predicted_seconds": 3000.0, "asked_seconds": 7200.0, "cuts": cut}
    )  # fmt: skip
    assert comparison.spending is not None
    reduced = judge(comparison.run, replace(comparison.spending, fit=fit))
    assert describe_verdict(reduced).details[-1] == (
        "To fit a budget of 1 h 0 min, the plan was reduced in the same way for every method, to 4 configurations "
        "of each search in place of 8 and seed 1 in place of 1, 2; the full plan was predicted to take 2 h 0 min."
    )
    (budget,) = [fact for fact in list_setting_facts(reduced) if fact.title == "Budget"]
    assert budget.value == "1h"
    assert "4 configurations" in budget.detail
