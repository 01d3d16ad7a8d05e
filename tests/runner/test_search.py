"""A whole fair comparison on a tiny model: search, confirm, test."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener, dump_reproducible, read_records_by_id
from tuneoff.records.record import Record
from tuneoff.runner import local_engine

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture
def searching(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"methods": ["base", "lora", "last-layer"], "search": {"configurations": 4}, "seeds": [1, 2]}


def test_the_best_of_the_search_is_trained_again_on_fresh_seeds(searching: dict[str, Any], tmp_path: Path) -> None:
    comparison = tuneoff.compare(searching, run=tmp_path / "run")
    assert {(row.label, len(row.finished)) for row in comparison.rows} == {("base", 1), ("lora", 2), ("last-layer", 2)}
    for row in comparison.rows:
        assert {r.trial.stage for r in row.records} == {"confirm"}
    chosen = comparison.searches["lora"].chosen
    assert chosen is not None
    assert {str(r.trial.hyperparameters) for r in comparison.rows if r.label == "lora" for r in r.records} == {
        str(chosen.hyperparameters)
    }


def test_a_search_never_opens_the_test_split(searching: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(searching, run=tmp_path / "run")
    searched = [r for r in read_records_by_id(tmp_path / "run").values() if r.trial.stage == "search"]
    assert len(searched) == 2 * (4 + 2 + 1)
    for record in searched:
        assert record.predictions == ()
        assert not [name for name in record.scores if name.startswith("test/")]


def test_a_search_leaves_neither_checkpoints_nor_adapters_of_the_tries(
    searching: dict[str, Any], tmp_path: Path
) -> None:
    tuneoff.compare(searching, run=tmp_path / "run")
    folders = {f.parent.name for f in (tmp_path / "run").glob("trials/*/adapter")}
    assert folders == {
        id for id, r in read_records_by_id(tmp_path / "run").items() if r.costs and r.costs.adapter_bytes
    }
    assert not list((tmp_path / "run").glob("trials/*/checkpoint*"))


def test_an_interrupted_search_goes_on_to_the_same_records(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuneoff.compare(searching, run=tmp_path / "undisturbed")
    original, began = local_engine.run_trial, 0

    def interrupt(*arguments: Any) -> Record:
        nonlocal began
        began += 1
        if began % 5 == 0:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(local_engine, "run_trial", interrupt)
    for _ in range(20):
        try:
            tuneoff.compare(searching, run=tmp_path / "interrupted")
            break
        except KeyboardInterrupt:
            continue
    undisturbed, resumed = read_records_by_id(tmp_path / "undisturbed"), read_records_by_id(tmp_path / "interrupted")
    assert undisturbed.keys() == resumed.keys()
    assert all(dump_reproducible(undisturbed[id]) == dump_reproducible(resumed[id]) for id in undisturbed)


def test_a_rung_whose_checkpoint_is_lost_is_trained_from_the_start_to_the_same_record(
    searching: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuneoff.compare(searching, run=tmp_path / "undisturbed")
    monkeypatch.setattr(local_engine, "find_resumable", lambda *_: set())
    tuneoff.compare(searching, run=tmp_path / "lost")
    undisturbed, again = read_records_by_id(tmp_path / "undisturbed"), read_records_by_id(tmp_path / "lost")
    assert undisturbed.keys() == again.keys()
    assert all(dump_reproducible(undisturbed[id]) == dump_reproducible(again[id]) for id in undisturbed)


def test_a_search_by_rouge_generates_on_validation(searching: dict[str, Any], tmp_path: Path) -> None:
    comparison = tuneoff.compare(
        searching, "search.metric=rougeL", "search.configurations=2", "methods=[lora]", "seeds=[1]", run=tmp_path / "r"
    )
    for one in comparison.searches["lora"].tries:
        assert one.scores[-1] == one.records[-1].scores["validation/rougeL"]


def test_seen_and_unrelated_text_are_scored_with_the_weights_that_were_kept(
    searching: dict[str, Any], tmp_path: Path
) -> None:
    tuneoff.compare(searching, run=tmp_path / "run")
    confirmed = [r for r in read_records_by_id(tmp_path / "run").values() if r.trial.stage == "confirm"]
    assert all({"train/loss", "validation/loss", "unrelated/loss"} <= r.scores.keys() for r in confirmed)
    base, *tuned = sorted(confirmed, key=lambda r: r.trial.label != "base")
    assert all(r.scores["unrelated/loss"] != base.scores["unrelated/loss"] for r in tuned)


def test_every_stage_counts_up_to_its_end(searching: dict[str, Any], tmp_path: Path) -> None:
    class Counting(RecordingListener):
        def on_trial_end(self, record: Record, tallies: Any) -> None:
            super().on_trial_end(record, tallies)
            self.last = {name: (tally.done, tally.of) for name, tally in tallies.items()}

    listener = Counting()
    tuneoff.compare(searching, run=tmp_path / "run", listener=listener)
    assert listener.last == {"search": (14, 14), "confirm": (4, 4), "test": (5, 5)}
