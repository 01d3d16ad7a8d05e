"""A comparison with benchmarks: asked of every arm, stored with the record, and shown on the page."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tuneoff
from tests.runner.recorded_runs import read_records_by_label
from tuneoff.analysis.benchmarks import compare_benchmarks
from tuneoff.budget.workload import compute_work
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.prepare import prepare

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.usefixtures("quick_inference")


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    data = tmp_path / "questions.jsonl"
    data.write_text("".join(json.dumps({"question": f"Is {i} even?", "answer": i % 2}) + "\n" for i in range(6)))
    file = tmp_path / "even.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "task": "even",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(data)}},
                "test_split": "test",
                "output_type": "multiple_choice",
                "doc_to_text": "{{question}}",
                "doc_to_target": "{{answer}}",
                "doc_to_choice": ["yes", "no"],
                "metric_list": [{"metric": "acc"}],
            }
        )
    )
    return file


def test_every_arm_is_asked_and_the_page_shows_the_answers(
    recipe: dict[str, Any], task_file: Path, tmp_path: Path
) -> None:
    recipe["evaluation"]["benchmarks"] = [str(task_file)]
    run = tmp_path / "run"
    comparison = tuneoff.compare(recipe, "methods=[base, soft-prompt]", run=run)
    records = read_records_by_label(run)
    assert {label: len(record.benchmarks) for label, record in records.items()} == {"base": 6, "soft-prompt": 6}
    (even,) = compare_benchmarks(comparison)
    assert set(even.scores) == {"base", "soft-prompt"}
    assert "<h2>Benchmarks</h2>" in (run / "report" / "index.html").read_text()
    assert (run / "report" / "benchmarks.csv").is_file()


def test_records_of_other_questions_are_not_mixed(recipe: dict[str, Any], task_file: Path, tmp_path: Path) -> None:
    recipe["evaluation"]["benchmarks"] = [str(task_file)]
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    task_file.write_text(task_file.read_text().replace("{{question}}", "{{question}} Yes or no?"))
    with pytest.raises(RunError, match="another setting, which differs in benchmarks"):
        tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")


def test_the_estimate_counts_what_benchmarks_ask(recipe: dict[str, Any], task_file: Path) -> None:
    preparation = prepare(Recipe.read(recipe))
    plain = compute_work(preparation, preparation.text)
    recipe["evaluation"]["benchmarks"] = {"tasks": [str(task_file)], "batch_size": 5}
    preparation = prepare(Recipe.read(recipe))
    asked = compute_work(preparation, preparation.text)
    assert plain.benchmarks.count == plain.benchmark_new_tokens == asked.benchmark_new_tokens == 0
    assert asked.benchmarks.count == 3, "six questions with two choices, five texts in a batch"
    assert asked.benchmarks.tokens > 12 * 4
