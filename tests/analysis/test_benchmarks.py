"""Benchmarks: the differences from the base model, paired by question and seed."""

import random
from typing import Any

import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.benchmarks import compare_benchmarks
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.records.record import BenchmarkScore
from tuneoff.report.benchmarks import build_benchmark_table, format_benchmarks_csv
from tuneoff.report.page import render_page

QUESTIONS = 200
CHANCES = {"base": 0.5, "lora": 0.9, "full": 0.2}  # of a right answer; 0.5 for others


def make_scores(label: str, seed: int) -> tuple[BenchmarkScore, ...]:
    """Return right answers as often as the method gives them, and their error, which is lower then."""
    draw = random.Random(f"{label} {seed}")
    chance = CHANCES.get(label, 0.5)
    rights = [float(draw.random() < chance) for _ in range(QUESTIONS)]
    choice = [BenchmarkScore(task="choice", row=i, scores={"acc": right}) for i, right in enumerate(rights)]
    error = [BenchmarkScore(task="error", row=i, scores={"mae,strict": 1 - right}) for i, right in enumerate(rights)]
    return (*choice, *error)


def make_comparison(**changes: Any) -> Comparison:
    run = make_synthetic_run(**{"seeds": [0, 1, 2], **changes})
    facts = {"lower_is_better": ["error/mae"], "benchmark_texts_cut": 2}
    records = [
        record.model_copy(update={"benchmarks": make_scores(record.trial.label, record.trial.seed), "facts": facts})
        if record.status == "done"
        else record
        for record in run.records
    ]
    return judge(type(run)(recipe=run.recipe, environment=run.environment, data=run.data, records=tuple(records)))


def test_a_change_is_shown_where_the_method_answers_otherwise_than_the_base_model() -> None:
    choice, error = compare_benchmarks(make_comparison())
    assert (choice.task, choice.metric, choice.examples) == ("choice", "acc", QUESTIONS)
    assert choice.scores["lora"].mean == pytest.approx(0.9, abs=0.05)
    shown = {label: change.improves for label, change in choice.changes.items() if change.is_beyond_noise}
    assert shown == {"lora": True, "full": False}
    assert choice.changes["lora"].difference.mean == pytest.approx(0.4, abs=0.1)
    assert not error.higher_is_better
    assert {label: change.improves for label, change in error.changes.items() if change.is_beyond_noise} == shown
    assert error.changes["lora"].difference.mean == pytest.approx(-choice.changes["lora"].difference.mean)


def test_a_method_that_was_trained_once_shows_nothing() -> None:
    choice, _ = compare_benchmarks(make_comparison(seeds=[0]))
    assert not any(change.is_beyond_noise for change in choice.changes.values())


def test_without_the_base_model_there_are_scores_alone() -> None:
    (choice, _) = compare_benchmarks(make_comparison(methods={"lora": {}, "full": {}}))
    assert set(choice.scores) == {"lora", "full"}
    assert choice.changes == {}


def test_a_run_without_benchmarks_has_no_table() -> None:
    comparison = judge(make_synthetic_run())
    assert compare_benchmarks(comparison) == ()
    assert build_benchmark_table(comparison) is None
    assert "<h2>Benchmarks</h2>" not in render_page(comparison, {}, {})


def test_the_page_and_the_file_have_every_task_and_method() -> None:
    comparison = make_comparison()
    page = render_page(comparison, {}, {})
    assert "<h2>Benchmarks</h2>" in page
    assert "mae,strict, lower is better, 200 questions" in page
    assert "Up to 2 texts did not fit into the model&#39;s context" in page
    table = build_benchmark_table(comparison)
    assert table is not None
    styles = {label: cell.style for label, cell in zip(table.labels, table.lines[0].cells, strict=True) if cell}
    assert (styles["base"], styles["lora"], styles["full"]) == ("", "ahead better", "behind better")
    benchmarks = compare_benchmarks(comparison)
    header, *lines = format_benchmarks_csv(benchmarks).splitlines()
    assert header == "task,metric,method,questions,score,low,high,change,change_low,change_high,p"
    assert len(lines) == 2 * len(benchmarks[0].scores)
