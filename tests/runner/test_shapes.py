"""Rows of several shapes, from a file to the scores of a trained method, with a tiny model."""

import json
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import read_records_by_label

pytestmark = pytest.mark.usefixtures("quick_comparisons")

LABELS = ["billing", "shipping", "returns", "account", "other"]
FUNCTION = "def add_{0}(x):\n    if x:\n        return x + {0}\n\n    return {0}\n"

ROWS: dict[str, list[dict[str, Any]]] = {
    "prose": [
        {
            "source": [f"We study rivers number {i}.", "The committee agreed on a plan for the old bridge."],
            "target": [f"The study of river {i} shows that the plan is good.", f"They found a way for bridge {i} too."],
        }
        for i in range(24)
    ],
    "labels": [{"text": f"My parcel {i} did not come.", "label": LABELS[i % 5]} for i in range(60)],
    "translation": [
        {
            "translation": {
                "en": f"The house of the man is at the end of the street {i}.",
                "de": f"Das Haus des Mannes ist am Ende der Straße und nicht weit {i}.",
            }
        }
        for i in range(24)
    ],
    "numbers": [{"question": f"What is {i} + {k}?", "answer": i + k} for i in range(3, 9) for k in range(4)],
    "code": [{"prompt": f"Write a function that adds {i}.", "completion": FUNCTION.format(i)} for i in range(24)],
}
FIELDS = {"translation": {"source": "translation.en", "target": "translation.de"}}
PRIMARY = {
    "prose": "rougeL",
    "labels": "accuracy",
    "translation": "chrf",
    "numbers": "number",
    "code": "edit",
}


@pytest.fixture
def run(recipe: dict[str, Any], tmp_path: Path) -> Any:
    def compare(task: str, **data: Any) -> Any:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[task]))
        recipe["data"] = {"source": "files", "files": str(path), "fields": FIELDS.get(task, {}), "max_tokens": 120}
        recipe["data"] |= {"max_target_tokens": 60, **data}
        return tuneoff.compare(recipe, "methods=[base, soft-prompt]", run=tmp_path / "run")

    return compare


@pytest.mark.parametrize("task", ROWS)
def test_rows_of_each_task_are_trained_on_and_scored_by_its_metric(task: str, run: Any, tmp_path: Path) -> None:
    comparison = run(task)
    assert comparison.run.data.task == task
    assert comparison.metric.name == PRIMARY[task]
    records = read_records_by_label(tmp_path / "run")
    assert {record.status for record in records.values()} == {"done"}
    assert all(PRIMARY[task] in p.scores for record in records.values() for p in record.predictions)


def test_several_references_are_recorded(run: Any, tmp_path: Path) -> None:
    run("prose")
    predictions = read_records_by_label(tmp_path / "run")["base"].predictions
    assert {len(prediction.references) for prediction in predictions} == {2}


def test_functions_are_targets_as_they_are_written(run: Any, tmp_path: Path) -> None:
    run("code")
    for prediction in read_records_by_label(tmp_path / "run")["base"].predictions:
        compile(prediction.reference, "a", "exec")
        assert prediction.reference in {row["completion"] for row in ROWS["code"]}
