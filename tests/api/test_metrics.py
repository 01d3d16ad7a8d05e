"""Metrics from a recipe to the page, on a tiny model."""

import csv
import io
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml

import tuneoff
from tuneoff.errors import MetricError
from tuneoff.report.leaderboard import build_leaderboard
from tuneoff.report.page import render_page
from tuneoff.report.tables import format_results_csv

OWN = """
def score(prediction, references, row):
    assert row["source"] and references == [row["target"]]
    return abs(len(prediction) - len(references[0]))
"""

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def small(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"methods": ["base", "last-layer"], "training": {"epochs": 1}}


def test_a_metric_of_ones_own_ranks_and_is_shown_without_its_file(
    small: dict[str, Any], own: Path, tmp_path: Path
) -> None:
    mine = {"function": f"{own}:score", "direction": "lower", "title": "Length off", "unit": "characters", "margin": 2}
    run = tmp_path / "run"
    tuneoff.compare(small | {"metrics": {"mine": mine, "exact": None}}, run=run)
    own.unlink()
    comparison = tuneoff.load_comparison(run)
    assert comparison.metric.name == "mine"
    assert [metric.name for metric in comparison.metrics] == ["mine", "exact", "loss"]
    means = [row.scores["mine"].mean for row in comparison.rows]
    assert means == sorted(means)
    predictions = comparison.rows[0].records[0].predictions
    assert means[0] == fmean(abs(len(p.prediction or "") - len(p.reference)) for p in predictions)
    (column, *_) = build_leaderboard(comparison).columns
    assert (column.title, column.unit) == ("Length off", "characters")
    assert "test_mine_characters" in next(csv.reader(io.StringIO(format_results_csv(comparison))))
    page = render_page(comparison, {}, {})
    assert "Length off" in page
    assert "ROUGE" not in page


def test_the_run_stores_which_metrics_and_the_checksum_of_the_function(
    small: dict[str, Any], own: Path, tmp_path: Path
) -> None:
    tuneoff.compare(small | {"methods": ["base"], "metrics": ["auto", {"mine": f"{own}:score"}]}, run=tmp_path / "run")
    stored = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert stored["verdict"]["metric"] == "rougeL"
    assert stored["metrics"]["rougeL"] == {"tokenizer": "english"}
    assert len(stored["metrics"]["mine"]["sha256"]) == 64


def test_a_metric_added_later_scores_the_stored_predictions(small: dict[str, Any], own: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    tuneoff.compare(small | {"metrics": ["exact"]}, run=run)
    before = {path: path.read_text() for path in run.glob("trials/*/predictions.jsonl")}
    comparison = tuneoff.compare(small | {"metrics": ["chrf", {"mine": f"{own}:score"}]}, run=run)
    assert comparison.metric.name == "chrf"
    for path, text in before.items():
        for old, new in zip(
            map(json.loads, text.splitlines()), map(json.loads, path.read_text().splitlines()), strict=True
        ):
            assert old["prediction"] == new["prediction"]
            assert new["scores"].keys() == {"exact", "chrf", "mine"}


def test_a_function_that_changed_scores_again(small: dict[str, Any], own: Path, tmp_path: Path) -> None:
    recipe = small | {"methods": ["base"], "metrics": {"mine": f"{own}:score"}}
    first = tuneoff.compare(recipe, run=tmp_path / "run")
    own.write_text(OWN.replace("return abs", "return 1 + abs"))
    second = tuneoff.compare(recipe, run=tmp_path / "run")
    assert second.rows[0].scores["mine"].mean == pytest.approx(first.rows[0].scores["mine"].mean + 1)


def test_without_a_metric_of_text_nothing_is_generated(small: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    comparison = tuneoff.compare(small | {"metrics": ["loss"]}, run=run)
    records = [record for row in comparison.rows for record in row.records]
    assert {prediction.prediction for record in records for prediction in record.predictions} == {None}
    assert all(record.costs and record.costs.generation_seconds == 0 for record in records)
    assert comparison.metric.name == "loss"
    assert "Predictions" not in render_page(comparison, {}, {}).split("<h2>Setting")[0]
    with pytest.raises(MetricError, match="needs generated text"):
        tuneoff.compare(small | {"metrics": ["exact"]}, run=run)


def test_a_mistake_in_a_function_is_found_before_anything_runs(
    small: dict[str, Any], own: Path, tmp_path: Path
) -> None:
    own.write_text("def score(prediction, references, row):\n    return row['rating']\n")
    with pytest.raises(MetricError, match=r"row 0 of the split .*KeyError: 'rating'"):
        tuneoff.compare(small | {"metrics": {"mine": f"{own}:score"}}, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
