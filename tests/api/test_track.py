"""A run is told to tracking tools: a finished one by a command, and one that goes on by a process beside it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.api.stored_runs import write_run
from tests.tracking.readers import read_tensorboard
from tuneoff.api import following
from tuneoff.cli import main
from tuneoff.errors import RunError
from tuneoff.runner.listener import SilentListener
from tuneoff.runs import RunDirectory
from tuneoff.tracking.content import build_points

pytest.importorskip("tensorboard", reason="tensorboard is not installed")


@pytest.fixture
def small_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a page without figures, which take seconds."""

    def write(_: object, folder: str, **__: object) -> Path:
        page = Path(folder) / "index.html"
        page.write_text("page")
        return page

    monkeypatch.setattr("tuneoff.report.page.write_report", write)


@pytest.fixture
def run(tmp_path: Path, small_page: None) -> Path:
    return write_run(tmp_path / "run", methods=["base", "lora"], seeds=[0, 1])


def test_every_trial_is_a_run_and_so_is_the_comparison(run: Path, tmp_path: Path) -> None:
    (told,) = tuneoff.track(run, ["tensorboard"])
    assert (told.runs, told.problem) == (4, "")
    shown = read_tensorboard(tmp_path / "trackers" / "tensorboard" / "synthetic" / "run")
    assert len(shown) == 4
    for record in RunDirectory(run).read_records():
        name = next(name for name in shown if name.startswith(f"{record.trial.label}-seed-{record.trial.seed}"))
        assert len(shown[name]) == sum(len(point.values) for point in build_points(record))


def test_a_moved_run_is_told_as_the_same_runs(run: Path, tmp_path: Path) -> None:
    tuneoff.track(run, ["tensorboard"])
    before = read_tensorboard(tmp_path / "trackers").keys()
    moved = run.rename(tmp_path / "elsewhere")
    tuneoff.track(moved, ["tensorboard"], folder=tmp_path / "other")
    after = read_tensorboard(tmp_path / "other").keys()
    assert {Path(name).name for name in before} == {Path(name).name for name in after}


def test_a_damaged_record_is_left_out_and_the_others_are_told(run: Path) -> None:
    record = next(run.glob("trials/*/record.json"))
    record.write_text(record.read_text().replace("done", "gone"))
    (told,) = tuneoff.track(run, ["tensorboard"])
    assert told.runs == 3


def test_the_command_says_how_to_see_what_was_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", str(run), "--to", "tensorboard"]) == 0
    assert "tensorboard: 4 runs. To see them: tensorboard --logdir" in capsys.readouterr().out


def test_the_command_fails_where_a_tool_did(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.tracking.tensorboard.TensorBoard.log", lambda *_: 1 / 0)
    assert main(["track", str(run), "--to", "tensorboard"]) == 1
    assert capsys.readouterr().err.count("told nothing more") == 1


def test_an_unknown_tool_is_named(run: Path) -> None:
    with pytest.raises(RunError, match="Did you mean 'tensorboard'"):
        tuneoff.track(run, ["tensorbored"])


def test_a_run_that_was_told_is_undamaged(run: Path) -> None:
    tuneoff.track(run, ["tensorboard"])
    assert not [problem for problem in tuneoff.api.verify(run).problems if problem.file.name == "trackers.json"]


@pytest.mark.usefixtures("quick_comparisons")
def test_a_comparison_is_told_as_it_runs_and_its_records_do_not_depend_on_it(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    popen = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        started.append(command)
        return popen(["cat"], **options)  # it too ends when its input closes

    monkeypatch.setattr(following.subprocess, "Popen", start)
    run = tmp_path / "run"
    tuneoff.compare(recipe, "methods=[base]", run=run, listener=SilentListener())
    before = {record.trial.id for record in RunDirectory(run).read_records()}
    tuneoff.compare(recipe, "methods=[base]", "track=[tensorboard]", run=run, listener=SilentListener())
    assert started[0][-5:] == ["track", str(run), "--to", "tensorboard", "--follow"]
    assert {record.trial.id for record in RunDirectory(run).read_records()} == before


def test_the_process_beside_a_comparison_tells_what_is_there_and_ends_when_its_input_closes(
    tmp_path: Path, model_folder: Callable[[str], Path]
) -> None:
    run = write_run(tmp_path / "run", methods=["lora"], seeds=[0])
    recipe = RunDirectory(run).read().recipe.model_copy(update={"track": ("tensorboard",)})
    with following.tracking(recipe, run):
        pass
    assert json.loads((run / "trackers.json").read_text())["id"]
    assert len(read_tensorboard(tmp_path / "trackers")) == 2
