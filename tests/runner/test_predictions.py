"""What a comparison records when predictions are sampled, constrained or chosen by likelihood."""

import json
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import read_records_by_label
from tuneoff.report.diagnostics.labels import diagnose_unseen_labels

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture
def label_recipe(recipe: dict[str, Any], text_file: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in text_file.read_text().splitlines()]
    labeled = [{**row, "target": ("good", "bad")[i % 2]} for i, row in enumerate(rows)]
    text_file.write_text("".join(json.dumps(row) + "\n" for row in labeled))
    return recipe


def test_all_samples_are_recorded_and_a_score_is_their_mean(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["evaluation"]["generation"] |= {"temperature": 1.0, "samples": 3}
    tuneoff.compare(recipe, "methods=[base, soft-prompt]", run=tmp_path / "run")
    for record in read_records_by_label(tmp_path / "run").values():
        assert record.status == "done"
        for prediction in record.predictions:
            assert len(prediction.samples) == 3
            assert prediction.prediction == prediction.samples[0]


@pytest.mark.parametrize(
    "written", [{"labels": "likelihood"}, {"generation": {"constrain_to": "labels"}}], ids=["likelihood", "constrained"]
)
def test_predictions_are_labels(written: dict[str, Any], label_recipe: dict[str, Any], tmp_path: Path) -> None:
    label_recipe["evaluation"] = written
    tuneoff.compare(label_recipe, run=tmp_path / "run")
    records = read_records_by_label(tmp_path / "run")
    assert {record.status for record in records.values()} == {"done"}
    predictions = [prediction for record in records.values() for prediction in record.predictions]
    assert {prediction.prediction for prediction in predictions} <= {"good", "bad"}
    assert all("samples" not in prediction.model_dump() for prediction in predictions)


@pytest.mark.parametrize(
    "written", [{"labels": "likelihood"}, {"generation": {"constrain_to": "labels"}}], ids=["likelihood", "constrained"]
)
def test_a_loaded_model_predicts_labels_as_its_run(
    written: dict[str, Any], label_recipe: dict[str, Any], tmp_path: Path
) -> None:
    label_recipe["evaluation"] = written
    tuneoff.compare(label_recipe, "methods=[lora]", run=tmp_path / "run")
    (record,) = read_records_by_label(tmp_path / "run").values()
    model = tuneoff.load(tmp_path / "run", "lora")
    assert model.generate([p.source for p in record.predictions]) == [p.prediction for p in record.predictions]


def test_labels_that_train_lacks_are_named(label_recipe: dict[str, Any], text_file: Path, tmp_path: Path) -> None:
    with text_file.open("a") as rows:
        rows.write("".join(json.dumps({"source": f"row {i}", "target": "worse"}) + "\n" for i in range(8)))
    label_recipe["evaluation"] = {"labels": {"names": ["good", "bad"]}}
    comparison = tuneoff.compare(label_recipe, "methods=[base]", "data.sizes.test=10", run=tmp_path / "run")
    (diagnosis,) = diagnose_unseen_labels(comparison)
    assert "have a label that train does not have, such as 'worse'" in diagnosis.text


def test_pass_at_k_is_a_metric_of_a_comparison(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["evaluation"]["generation"] |= {"temperature": 1.0, "samples": 3}
    recipe["metrics"] = ["exact@2", "exact"]
    comparison = tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    assert comparison.metric.name == "exact@2"
    assert set(comparison.rows[0].scores) == {"exact@2", "exact", "loss"}


def test_a_loaded_model_samples_what_its_run_recorded(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["evaluation"]["generation"] |= {"temperature": 1.0}
    tuneoff.compare(recipe, "methods=[lora]", run=tmp_path / "run")
    (record,) = read_records_by_label(tmp_path / "run").values()
    model = tuneoff.load(tmp_path / "run", "lora")
    backwards = record.predictions[::-1]
    assert model.generate([p.source for p in backwards]) == [p.prediction for p in backwards]
