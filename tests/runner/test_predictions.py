"""What a comparison records when predictions are sampled, constrained or chosen by likelihood."""

import json
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import read_records_by_label

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


def test_a_loaded_model_samples_what_its_run_recorded(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["evaluation"]["generation"] |= {"temperature": 1.0}
    tuneoff.compare(recipe, "methods=[lora]", run=tmp_path / "run")
    (record,) = read_records_by_label(tmp_path / "run").values()
    model = tuneoff.load_model(tmp_path / "run", "lora")
    backwards = record.predictions[::-1]
    assert model.generate([p.source for p in backwards]) == [p.prediction for p in backwards]
