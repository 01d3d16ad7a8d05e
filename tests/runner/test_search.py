"""Comparisons with a search on a tiny model: search, confirm, test."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener, dump_reproducible, read_records_by_id
from tuneoff.records.record import Record
from tuneoff.runner import attempt
from tuneoff.search import replay

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture
def search_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"methods": ["base", "lora", "last-layer"], "search": {"configurations": 4}, "seeds": [1, 2]}


def test_the_chosen_configuration_is_trained_again_on_fresh_seeds(
    search_recipe: dict[str, Any], tmp_path: Path
) -> None:
    comparison = tuneoff.compare(search_recipe, run=tmp_path / "run")
    assert {(row.label, len(row.finished)) for row in comparison.rows} == {("base", 1), ("lora", 2), ("last-layer", 2)}
    for row in comparison.rows:
        assert {r.trial.stage for r in row.records} == {"confirm"}
    chosen = comparison.searches["lora"].chosen
    assert chosen is not None
    assert {str(r.trial.hyperparameters) for r in comparison.rows if r.label == "lora" for r in r.records} == {
        str(chosen.hyperparameters)
    }


def test_a_search_never_reads_the_test_split(search_recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(search_recipe, run=tmp_path / "run")
    searched = [r for r in read_records_by_id(tmp_path / "run").values() if r.trial.stage == "search"]
    assert len(searched) == 2 * ((2 + 2 + 2) + 2 + 2)
    for record in searched:
        assert record.predictions == ()
        assert not [name for name in record.scores if name.startswith("test/")]


def test_a_search_leaves_neither_checkpoints_nor_adapters(search_recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(search_recipe, run=tmp_path / "run")
    folders = {f.parent.name for f in (tmp_path / "run").glob("trials/*/adapter")}
    assert folders == {
        id for id, r in read_records_by_id(tmp_path / "run").items() if r.costs and r.costs.adapter_bytes
    }
    assert not list((tmp_path / "run").glob("trials/*/checkpoint*"))


def test_an_interrupted_search_resumes_to_the_same_records(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuneoff.compare(search_recipe, run=tmp_path / "undisturbed")
    original, started = attempt.run_trial, 0

    def interrupt_every_fifth(*arguments: Any) -> Record:
        nonlocal started
        started += 1
        if started % 5 == 0:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(attempt, "run_trial", interrupt_every_fifth)
    for _ in range(20):
        try:
            tuneoff.compare(search_recipe, run=tmp_path / "interrupted")
            break
        except KeyboardInterrupt:
            continue
    undisturbed, resumed = read_records_by_id(tmp_path / "undisturbed"), read_records_by_id(tmp_path / "interrupted")
    assert undisturbed.keys() == resumed.keys()
    assert all(dump_reproducible(undisturbed[id]) == dump_reproducible(resumed[id]) for id in undisturbed)


@pytest.mark.slow
def test_a_rung_without_its_checkpoint_is_trained_from_the_start_to_the_same_record(
    search_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuneoff.compare(search_recipe, run=tmp_path / "undisturbed")
    monkeypatch.setattr(replay, "find_resumable", lambda *_: set())
    tuneoff.compare(search_recipe, run=tmp_path / "lost")
    undisturbed, retrained = read_records_by_id(tmp_path / "undisturbed"), read_records_by_id(tmp_path / "lost")
    assert undisturbed.keys() == retrained.keys()
    assert all(dump_reproducible(undisturbed[id]) == dump_reproducible(retrained[id]) for id in undisturbed)


def test_a_search_by_rouge_compares_predictions_on_validation(search_recipe: dict[str, Any], tmp_path: Path) -> None:
    comparison = tuneoff.compare(
        search_recipe,
        "search.metric=rougeL",
        "search.configurations=2",
        "methods=[lora]",
        "seeds=[1]",
        run=tmp_path / "r",
    )
    for t in comparison.searches["lora"].tries:
        assert t.scores[-1] == t.records[-1].scores["validation/rougeL"]


def test_train_and_unrelated_text_are_scored_with_the_trained_weights(
    search_recipe: dict[str, Any], tmp_path: Path
) -> None:
    tuneoff.compare(search_recipe, run=tmp_path / "run")
    confirmed = [r for r in read_records_by_id(tmp_path / "run").values() if r.trial.stage == "confirm"]
    assert all({"train/loss", "validation/loss", "unrelated/loss"} <= r.scores.keys() for r in confirmed)
    base, *tuned = sorted(confirmed, key=lambda r: r.trial.label != "base")
    assert all(r.scores["unrelated/loss"] != base.scores["unrelated/loss"] for r in tuned)


def test_the_tallies_of_every_stage_reach_their_end(search_recipe: dict[str, Any], tmp_path: Path) -> None:
    class TallyListener(RecordingListener):
        def on_trial_end(self, record: Record, tallies: Any) -> None:
            super().on_trial_end(record, tallies)
            self.last = {name: (tally.done, tally.of) for name, tally in tallies.items()}

    listener = TallyListener()
    tuneoff.compare(search_recipe, run=tmp_path / "run", listener=listener)
    assert listener.last == {"search": (20, 20), "confirm": (4, 4), "test": (5, 5)}
