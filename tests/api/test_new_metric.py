"""A new metric is one entry in the table, from which everything that scores, searches, decides and shows reads it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import tuneoff
from tests.report.synthetic import make_synthetic_comparison
from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import METRICS, Answer, Metric, Scores
from tuneoff.recipe.schema import build_schema
from tuneoff.records.record import Prediction
from tuneoff.report.leaderboard import build_leaderboard
from tuneoff.report.tables import format_results_csv


def count_surplus_words(prediction: Prediction) -> int:
    return abs(len((prediction.prediction or "").split()) - len(prediction.reference.split()))


def score_surplus(answers: Sequence[Answer]) -> Scores:
    return Scores(
        values=[abs(len(answer.prediction.split()) - len(answer.references[0].split())) for answer in answers]
    )


SURPLUS = Metric(
    name="surplus",
    title="Surplus",
    unit="words",
    meaning="By how many words the prediction is longer or shorter than the reference.",
    higher_is_better=False,
    needs="text",
    decimals=2,
    margin=lambda _: 0.25,
    score=score_surplus,
    bounds=(0, 1000),
)


@pytest.fixture(autouse=True)
def _new_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, SURPLUS.name, SURPLUS)


@pytest.fixture
def comparison() -> Comparison:
    return make_synthetic_comparison(metrics=["rougeL", "surplus"])


def compute_means(comparison: Comparison) -> dict[str, float]:
    records = [record for record in comparison.run.records if record.status == "done"]
    return {record.trial.label: fmean(map(count_surplus_words, record.predictions)) for record in records}


def test_it_has_a_column_on_the_leaderboard_with_its_decimals(comparison: Comparison) -> None:
    board = build_leaderboard(comparison)
    (column,) = board.select(["surplus"])
    assert (column.title, column.unit, column.meaning) == (SURPLUS.title, SURPLUS.unit, SURPLUS.meaning)
    cells = dict(zip(board.labels, column.cells, strict=True))
    assert all(cells[label].text == f"{mean:.2f}" for label, mean in compute_means(comparison).items())


def test_its_direction_decides_which_method_is_best(comparison: Comparison) -> None:
    means = compute_means(comparison)
    assert [means[row.label] for row in comparison.rank(SURPLUS)] == sorted(means.values())


@pytest.mark.parametrize(("margin", "decision"), [(0.0, "open"), (1000.0, "equal")])
def test_pairs_are_decided_by_its_own_margin(monkeypatch: pytest.MonkeyPatch, margin: float, decision: str) -> None:
    metric = replace(SURPLUS, margin=lambda _: margin)
    monkeypatch.setitem(METRICS, "surplus", metric)
    assert make_synthetic_comparison(seeds=[0, 1, 2], metrics=["surplus"]).get_pairs(metric)[0].decision == decision


def test_it_is_in_the_csv_file_with_its_unit_and_interval(comparison: Comparison) -> None:
    lines = {line["label"]: line for line in csv.DictReader(io.StringIO(format_results_csv(comparison)))}
    for label, mean in compute_means(comparison).items():
        low, score, high = (float(lines[label][f"test_surplus_words{end}"]) for end in ("_low", "", "_high"))
        assert low < score < high
        assert score == pytest.approx(mean)


def test_the_schema_of_a_recipe_accepts_it() -> None:
    assert "surplus" in build_schema()["$defs"]["SearchOptions"]["properties"]["metric"]["anyOf"][0]["enum"]


@pytest.mark.usefixtures("quick_comparisons")
def test_a_search_chooses_by_it_and_a_trial_records_it(recipe: dict[str, Any], tmp_path: Path) -> None:
    options = {"methods": ["lora"], "search": {"configurations": 3, "rungs": 1, "metric": "surplus"}, "seeds": [1]}
    comparison = tuneoff.compare(recipe | options, run=tmp_path / "run")
    search = comparison.searches["lora"]
    assert search.chosen is not None
    assert search.chosen.scores[-1] == min(attempt.scores[-1] for attempt in search.tries)
    (record,) = comparison.rows[0].records
    assert record.scores["test/surplus"] == fmean(map(count_surplus_words, record.predictions))
