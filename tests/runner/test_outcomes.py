"""Unusual data and predictions: each has a defined outcome, and none of them ends a comparison."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tests.runner.recorded_runs import read_records_by_label
from tuneoff.data.batches import Batch
from tuneoff.models.language_model import LanguageModel
from tuneoff.runner import trial
from tuneoff.training import trainer

pytestmark = pytest.mark.usefixtures("quick_inference")


def test_one_example_in_each_split_gives_a_report(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["data"]["sizes"] = {"train": 1, "validation": 1, "test": 1}
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")
    assert [record.status for record in read_records_by_label(tmp_path / "run").values()] == ["done", "done"]
    assert len(comparison.rows) == 2
    assert (tmp_path / "run" / "report" / "index.html").is_file()


def test_empty_predictions_score_zero_and_are_in_the_report(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate_nothing(model: LanguageModel, tokens_BT: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return torch.full((len(tokens_BT), 1), model.tokenizer.eos_token_id)

    monkeypatch.setattr("tuneoff.evaluation.generation.generate", generate_nothing)
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")
    for record in read_records_by_label(tmp_path / "run").values():
        assert {(p.prediction, p.scores["rougeL"]) for p in record.predictions} == {("", 0.0)}
    assert [row.scores["rougeL"].mean for row in comparison.rows] == [0.0, 0.0]
    assert (tmp_path / "run" / "report" / "index.html").is_file()


def test_a_target_longer_than_the_limit_is_truncated_and_counted(
    recipe: dict[str, Any], tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)
    rows = [json.loads(line) for line in text_file.read_text().splitlines()]
    text_file.write_text("".join(json.dumps(row | {"target": 500 * row["target"]}) + "\n" for row in rows))
    comparison = tuneoff.compare(recipe, "methods=[lora]", run=tmp_path / "run")
    (record,) = read_records_by_label(tmp_path / "run").values()
    assert record.status == "done"
    assert {p.target_tokens for p in record.predictions} == {recipe["data"]["max_target_tokens"]}
    assert comparison.run.data.splits["test"].target_cut_share == 1.0


def test_a_record_has_the_micro_batch_that_was_used_after_memory_ran_out(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)
    original = trainer.compute_token_losses

    def compute_at_most_two(model: LanguageModel, batch: Batch) -> torch.Tensor:
        if len(batch.rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(model, batch)

    monkeypatch.setattr(trainer, "compute_token_losses", compute_at_most_two)
    tuneoff.compare(recipe, "methods=[lora]", run=tmp_path / "run")
    (record,) = read_records_by_label(tmp_path / "run").values()
    assert (record.status, record.facts["micro_batch"]) == ("done", 2)


@pytest.mark.usefixtures("quick_comparisons")
def test_what_a_method_reads_before_its_first_step_is_part_of_its_training(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a search too, where each rung reads again and goes on from the one below."""
    find = trial.set_start
    monkeypatch.setattr(trial, "set_start", lambda *arguments: 1e6 + find(*arguments))
    searched = {"methods": ["base", "lora", "eva"], "search": {"configurations": 2, "rungs": 2}}
    for record in tuneoff.compare(recipe | searched, run=tmp_path / "run").run.records:
        assert record.status == "done", record.reason
        assert record.costs is not None
        assert record.costs.train_seconds // 1e6 == (record.trial.label == "eva")
