"""A comparison that runs carries out what people decide, and the verdict knows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import read_records_by_label
from tuneoff.api.deciding import decide
from tuneoff.errors import RunError
from tuneoff.records.trial import Trial
from tuneoff.report.sentences import describe_verdict
from tuneoff.runner.listener import SilentListener
from tuneoff.runtime.progress import OnProgress, Progress

pytestmark = pytest.mark.usefixtures("quick_comparisons")


class DecidingListener(SilentListener):
    """Decides something at the first progress of the trials of one method."""

    def __init__(self, label: str, decide: Callable[[Trial], object]) -> None:
        self._label, self._decide = label, decide

    def on_trial_start(self, trial: Trial) -> OnProgress:
        todo = [trial] if trial.label == self._label else []

        def decide_once(_: Progress) -> None:
            if todo:
                self._decide(todo.pop())

        return decide_once


@pytest.fixture(autouse=True)
def check_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the decisions at every step of a trial, as a tiny one ends within a second."""
    monkeypatch.setattr("tuneoff.runner.deciding.CHECK_SECONDS", 0.0)


def test_a_trial_that_somebody_stops_is_failed_with_the_decision_as_its_reason(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    listener = DecidingListener("lora", lambda trial: decide(run, stop=trial.id, by="ada", why="it diverges"))
    comparison = tuneoff.compare(recipe, "methods=[base, lora]", run=run, listener=listener)
    record = read_records_by_label(run)["lora"]
    assert record.status == "failed"
    assert "stopped by ada" in (record.reason or "")
    assert "it diverges" in (record.reason or "")
    assert any("was stopped by ada" in sentence for sentence in describe_verdict(comparison).details)
    retried = tuneoff.compare(recipe, "methods=[base, lora]", run=run, listener=SilentListener(), retry=True)
    assert read_records_by_label(run)["lora"].status == "done"
    assert retried.partial is None


def test_a_trial_that_has_ended_or_never_began_cannot_be_stopped(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    tuneoff.compare(recipe, "methods=[base]", run=run, listener=SilentListener())
    with pytest.raises(RunError, match="has ended"):
        decide(run, stop=read_records_by_label(run)["base"].trial.id)
    for id in ("0" * 12, "../../x"):
        with pytest.raises(RunError, match="no trial"):
            decide(run, stop=id)


def test_exactly_one_thing_is_decided_at_a_time(tmp_path: Path) -> None:
    for decisions in ({}, {"stop": "a", "drop": "lora"}):
        with pytest.raises(RunError, match="exactly one"):
            decide(tmp_path, **decisions)


def test_a_method_that_somebody_leaves_out_is_trained_no_more_and_not_compared(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    listener = DecidingListener("lora", lambda _: decide(run, drop="soft-prompt", by="ada", why="too slow"))
    comparison = tuneoff.compare(recipe, run=run, listener=listener)
    assert {row.label for row in comparison.rows} == {"base", "lora"}
    assert "soft-prompt" not in read_records_by_label(run)
    assert comparison.partial is None
    details = describe_verdict(comparison).details
    assert any(sentence.startswith("soft-prompt was left out by ada") for sentence in details)
    assert "soft-prompt is not compared, so the verdict says nothing about it." in details
    events = [json.loads(line) for file in run.glob("live/*.jsonl") for line in file.read_text().splitlines()]
    assert (events[0]["kind"], events[-1]["kind"]) == ("begin", "over")
    assert {event["label"] for event in events if event["kind"] == "end"} == {"base", "lora"}
