"""The page's table of what was predicted against what it took; and the marks of a comparison that is not finished."""

from dataclasses import replace

import pytest

from tests.budget.samples import make_costs, make_probe
from tests.report.synthetic import synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.budget.estimate import estimate_trial_seconds
from tuneoff.budget.shrink import Fit, get_size
from tuneoff.budget.spending import Spending, Spent
from tuneoff.report.budget_table import compare_with_estimate, format_money
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.setting import list_setting_facts
from tuneoff.report.tables import format_latex_table, format_markdown_table

GB = 10**9


@pytest.fixture
def comparison() -> Comparison:
    """Every trial took half as long again as predicted, and the rest of the run 20 s."""
    run = synthetic_run(methods=["base", "lora"], seeds=[0], budget="1h")
    found = make_probe(lora=make_costs(training_bytes=1 * GB))
    took = {
        record.trial.id: {part: 1.5 * s for part, s in estimate_trial_seconds(record.trial, run.recipe, found).items()}
        for record in run.records
    }
    whole = sum(sum(parts.values()) for parts in took.values()) + found.probe_seconds + 20
    return judge(run, Spending(probe=found, spent=Spent(seconds=whole, trials=took)))


def test_each_part_of_a_method_has_its_prediction_beside_what_it_took(comparison: Comparison) -> None:
    lines = {(line.label, line.name): line for line in compare_with_estimate(comparison)}
    assert list(lines) == [
        ("base", "test"),
        ("lora", "confirm"),
        ("lora", "test"),
        (None, "reading text and model, drawing the page"),
        (None, "in all"),
    ]
    assert {lines["lora", part].off for part in ("confirm", "test")} == {"−33 %"}
    confirm = lines["lora", "confirm"]
    assert (confirm.predicted_memory, confirm.actual_memory, confirm.memory_off) == ("1.00 GB", "2.14 GB", "−53 %")


def test_what_belongs_to_no_method_is_the_rest_of_the_run_without_its_probe(comparison: Comparison) -> None:
    *_, apart, whole = compare_with_estimate(comparison)
    assert (apart.predicted, apart.actual) == ("11 s", "20 s")
    assert whole.label is None


def test_without_a_probe_nothing_was_predicted() -> None:
    assert compare_with_estimate(judge(synthetic_run(methods=["base", "lora"]))) == ()


def test_trials_that_are_not_run_yet_are_on_neither_side(comparison: Comparison) -> None:
    only = judge(replace(comparison.run, records=comparison.run.records[:1]), comparison.spending)
    assert [line.label for line in compare_with_estimate(only)] == ["base", None, None]


def test_money_is_hours_times_their_price() -> None:
    assert format_money(5400, 2.1) == "3.15"


def test_tables_that_are_taken_elsewhere_say_that_they_are_partial(comparison: Comparison) -> None:
    half = judge(replace(comparison.run, records=comparison.run.records[:1]))
    assert "Partial: not every trial of the recipe has been run." in format_markdown_table(half)
    assert "Partial: not every trial" in format_latex_table(half)
    assert "Partial" not in format_markdown_table(comparison)


def test_how_much_more_it_would_take_is_said(comparison: Comparison) -> None:
    half = judge(replace(comparison.run, records=comparison.run.records[:1]), comparison.spending)
    training, test = estimate_trial_seconds(
        comparison.run.records[1].trial, comparison.run.recipe, make_probe()
    ).values()
    left = training + test + 5 + 6
    assert f"predicted to take {left // 60:.0f} min {left % 60:.0f} s more" in " ".join(describe_verdict(half))


def test_what_was_cut_for_the_budget_is_said_and_stands_in_the_setting(comparison: Comparison) -> None:
    cut = ("4 configurations of each search in place of 8", "seed 1 in place of 1, 2")
    size = get_size(comparison.run.recipe)
    fit = Fit.model_validate(
        {"budget": {"time": "1h"}, "asked": size, "left": size, "whole_seconds": 3600.0,
         "predicted_seconds": 3000.0, "asked_seconds": 7200.0, "cuts": cut}
    )  # fmt: skip
    assert comparison.spending is not None
    found = judge(comparison.run, replace(comparison.spending, fit=fit))
    assert describe_verdict(found)[-1] == (
        "To fit a budget of 1 h 0 min, the plan was reduced in the same way for every method, to 4 configurations "
        "of each search in place of 8 and seed 1 in place of 1, 2; the full plan was predicted to take 2 h 0 min."
    )
    (budget,) = [fact for fact in list_setting_facts(found) if fact.title == "Budget"]
    assert budget.value == "1h"
    assert "4 configurations" in budget.detail
