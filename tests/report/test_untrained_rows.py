"""Rows that train nothing: the base model with another prompt, or with examples in it."""

from typing import Any

import numpy as np
import pytest

from tests.analysis.test_sequential import make_run
from tests.report.outcomes import make_outcome
from tests.report.synthetic import make_synthetic_comparison
from tuneoff.analysis.cheapest import find_cheapest
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.costs import COSTS
from tuneoff.analysis.noise import collect_scores
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.metrics import ROUGE_L
from tuneoff.report.charts.learning_curves import draw_loss_by_step
from tuneoff.report.diagnostics import diagnose
from tuneoff.report.format import NOTHING
from tuneoff.report.leaderboard import build_leaderboard, list_footnotes
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.costs import describe_costs, describe_fastest
from tuneoff.report.sentences.headline import describe_headline
from tuneoff.report.sentences.names import make_names

UNTRAINED = ("base", "base-prompt", "base-few-shot")


def make_rows(**changes: Any) -> Comparison:
    return make_synthetic_comparison(methods=[*UNTRAINED, "lora", "full"], **{"seeds": [1, 2], **changes})


def test_no_cost_of_training_is_shown_as_an_advantage_of_a_row_that_trains_nothing() -> None:
    comparison = make_rows()
    leaderboard = build_leaderboard(comparison)
    places = [leaderboard.labels.index(label) for label in UNTRAINED]
    costs = [column for column in leaderboard.columns if column.name in COSTS]
    assert len(costs) == len(COSTS)
    assert not any(column.cells[place].best for column in costs for place in places)


@pytest.mark.parametrize("name", ["train_seconds", "slowest_epoch", "training_memory", "adapter_bytes"])
def test_what_no_training_costs_is_a_dash_and_not_zero(name: str) -> None:
    leaderboard = build_leaderboard(make_rows())
    (column,) = leaderboard.select([name])
    assert {column.cells[leaderboard.labels.index(label)].text for label in UNTRAINED} == {NOTHING}


def test_rows_that_train_nothing_are_not_on_the_front_of_quality_and_training_time() -> None:
    comparison = make_rows()
    assert not comparison.find_front(ROUGE_L, COSTS["train_seconds"]) & set(UNTRAINED)


def test_the_fastest_training_is_one() -> None:
    comparison = make_rows()
    assert "lora" in next(describe_fastest(comparison, make_names(comparison)))


def test_a_row_that_trains_nothing_is_cheaper_than_a_training_of_equal_score() -> None:
    comparison = make_rows()
    rows = [row for row in comparison.rows if row.label in {"lora", "base-few-shot"}]
    assert find_cheapest(comparison, rows).row.label == "base-few-shot"


def test_a_prompt_that_wins_is_told_as_no_training() -> None:
    comparison = make_outcome(base_few_shot=30, lora=24)
    verdict, names = decide_verdict(comparison, comparison.metric), make_names(comparison)
    assert describe_headline(comparison, verdict, names).startswith("No training helped: base-few-shot is the best")
    assert describe_costs(verdict, names) == "base-few-shot costs no training."


def test_a_prompt_without_seeds_is_not_reported_as_a_single_run() -> None:
    comparison = make_rows(seeds=[1])
    kinds = {d.kind: d.text for d in diagnose(comparison)}
    assert kinds["one seed"].startswith("Each method was trained once")
    assert any(line.startswith("Each method has one finished run") for line in list_footnotes(comparison))
    assert "base-prompt" not in " ".join(list_footnotes(make_rows()))


def test_rows_without_a_learning_rate_do_not_share_one_and_have_no_curve() -> None:
    comparison = make_rows()
    assert not [d for d in diagnose(comparison) if d.kind in {"shared learning rate", "no effect", "overfitting"}]
    chart = draw_loss_by_step(comparison, "validation_loss", "")
    assert chart is not None
    assert not any(f'"method": "{label}"' in chart.to_json() for label in UNTRAINED)


def test_the_noise_of_trained_methods_is_measured_on_them_alone() -> None:
    scores = collect_scores(make_rows(), ROUGE_L, [])
    assert len(scores.trained) == 2


def test_a_prompt_without_seeds_is_part_of_every_look() -> None:
    comparison = judge(make_run({"base": 10.0, "base-prompt": 12.0, "lora": 25.0, "full": 25.4}))
    pairs = {frozenset((p.better.label, p.other.label)) for p in comparison.get_pairs(comparison.metric)}
    assert len(pairs) == 6
    assert "full" in describe_verdict(comparison).headline
    assert np.isfinite([p.difference.mean for p in comparison.get_pairs(comparison.metric)]).all()
