"""Data and run directories that are moved after a run began."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tuneoff.errors import DataError, RunError
from tuneoff.records.record import Record
from tuneoff.runner.listener import Tallies
from tuneoff.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("quick_comparisons")


def move_data(recipe: dict[str, Any], place: Path) -> dict[str, Any]:
    place.parent.mkdir(exist_ok=True)
    shutil.move(recipe["data"]["files"], place)
    return recipe | {"data": recipe["data"] | {"files": str(place)}}


def test_a_run_goes_on_with_data_that_was_moved(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = tuneoff.compare(recipe, "methods=[base]", run=run)
    moved = move_data(recipe, tmp_path / "elsewhere" / "rows.jsonl")
    listener = RecordingListener()
    both = tuneoff.compare(moved, "methods=[base, last-layer]", run=run, listener=listener)
    assert [record.trial.label for record in listener.ended] == ["last-layer"]
    assert all(record.trial.setting == first.run.records[0].trial.setting for record in both.run.records)
    assert both.run.recipe.data == first.run.recipe.data


def test_data_of_another_content_in_another_place_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    tuneoff.compare(recipe, "methods=[base]", run=run)
    moved = move_data(recipe, tmp_path / "rows.jsonl")
    rows = Path(moved["data"]["files"]).read_text().replace("committee", "council")
    Path(moved["data"]["files"]).write_text(rows)
    with pytest.raises(RunError, match=r"rows.jsonl is not that which .* began with in .*text.jsonl: its"):
        tuneoff.compare(moved, "methods=[base]", run=run)


def test_data_that_is_gone_is_told_with_how_the_run_can_go_on(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    tuneoff.compare(recipe, "methods=[base]", run=run)
    move_data(recipe, tmp_path / "rows.jsonl")
    with pytest.raises(DataError, match=r"does not exist.* If it was moved, write where it is now"):
        tuneoff.compare(recipe, "methods=[base]", run=run)


def test_another_difference_is_still_another_recipe(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    tuneoff.compare(recipe, "methods=[base]", run=run)
    moved = move_data(recipe, tmp_path / "rows.jsonl")
    with pytest.raises(RunError, match="another recipe, which differs in data"):
        tuneoff.compare(moved, "methods=[base]", "data.max_tokens=60", run=run)


class MovingListener(RecordingListener):
    """Moves the run directory away when the first trial ends."""

    def __init__(self, run: Path, target: Path) -> None:
        super().__init__()
        self._run, self._target = run, target

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        super().on_trial_end(record, tallies)
        if self._run.exists():
            self._run.rename(self._target)


def test_a_run_that_is_moved_while_it_runs_stops_and_goes_on_in_its_new_place(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    with pytest.raises(RunError, match=r"was moved, removed or replaced while the run was working in it"):
        tuneoff.compare(recipe, "methods=[base, last-layer]", run=run, listener=MovingListener(run, moved))
    assert not run.exists()
    listener = RecordingListener()
    tuneoff.compare(recipe, "methods=[base, last-layer]", run=moved, listener=listener)
    assert [record.trial.label for record in listener.ended] == ["last-layer"]


def test_a_directory_that_replaced_the_locked_one_is_not_written_to(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with directory.lock():
        directory.require_in_place()
        directory.path.rename(tmp_path / "moved")
        directory.path.mkdir()
        with pytest.raises(RunError, match="moved, removed or replaced"):
            directory.require_in_place()
    directory.require_in_place()
