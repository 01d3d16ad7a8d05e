"""Each tool is told a trial offline, and read back value by value."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.tracking.readers import Values, read_mlflow, read_tensorboard, read_trackio, read_wandb
from tuneoff.config.tracking import TRACKER_NAMES, TrackerName
from tuneoff.records.record import Record
from tuneoff.tracking import BACK_ENDS
from tuneoff.tracking.back_end import Place
from tuneoff.tracking.content import Group, Table, TrackerRun, describe_trial
from tuneoff.tracking.telling import Teller

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the tools' own code

Read = Callable[[Path, str], dict[str, Values]]  # of the folder for all tools, and of a project
READERS: dict[TrackerName, Read] = {
    "tensorboard": lambda folder, _: {
        run.rpartition("/")[2]: values for run, values in read_tensorboard(folder / "tensorboard").items()
    },
    "mlflow": lambda folder, project: read_mlflow(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}", project),
    "wandb": lambda folder, _: read_wandb(folder / "wandb"),
    "trackio": lambda _, project: read_trackio(project),
}


@pytest.fixture(params=READERS)
def tool(request: pytest.FixtureRequest) -> TrackerName:
    name: TrackerName = request.param
    pytest.importorskip(BACK_ENDS[name].module, reason=f"{name} is not installed")
    return name


@pytest.fixture
def runs(records: dict[str, Record], long_record: Record, group: Group, tmp_path: Path) -> list[TrackerRun]:
    """Two seeds of a method, a diverged and a failed trial, in a project of this test alone."""
    own = replace(group, project=f"fair{tmp_path.name}", name=f"fair{tmp_path.name}")
    chosen = [long_record, *(records[name] for name in ("lora 1", "lora-hot 0", "lora-r256 0"))]
    return [describe_trial(record, own, with_text=False) for record in chosen]


def list_values(run: TrackerRun, tool: TrackerName) -> Values:
    """What a tool should have of a run. TensorBoard stores 32 bits."""
    convert = (lambda value: float(np.float32(value))) if tool == "tensorboard" else float
    return Counter((name, point.step, convert(value)) for point in run.points for name, value in point.values.items())


def tell(tool: TrackerName, runs: list[TrackerRun], folder: Path) -> list[str]:
    """Tell a tool, as one process does. Return what it warned of."""
    problems: list[str] = []
    teller = Teller(tool, Place(folder=folder, offline=True), problems.append)
    for run in runs:
        teller.tell(run)
    teller.close()
    return problems


def test_every_value_is_read_back_once_also_after_it_was_told_again(
    tool: TrackerName, runs: list[TrackerRun], tmp_path: Path
) -> None:
    interrupted = replace(runs[0], points=runs[0].points[:2])  # and told whole later
    assert tell(tool, [interrupted, *runs], tmp_path) == []
    assert tell(tool, runs, tmp_path) == []
    told = READERS[tool](tmp_path, runs[0].project)
    for run in runs:
        if run.points or tool not in {"tensorboard", "trackio"}:  # these two show no run without a value
            assert told.pop(run.name) == list_values(run, tool)
    assert not any(told.values())


def test_no_process_is_left_behind(tool: TrackerName, runs: list[TrackerRun], tmp_path: Path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    tell(tool, runs[:1], tmp_path)
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert alive == []


def test_tables_files_and_a_note_are_attached(tool: TrackerName, runs: list[TrackerRun], tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text("<p>the page</p>")
    table = Table(name="leaderboard", columns=("Method", "Loss"), rows=(("lora", "2.71"),))
    assert tell(tool, [replace(runs[0], note="it is decided", tables=(table,), files=(page,))], tmp_path) == []
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file != page]
    kept = b"".join(file.name.encode() + file.read_bytes() for file in files)
    if tool != "trackio":  # which compresses what it stores
        assert b"it is decided" in kept
    if tool in {"mlflow", "wandb"}:
        assert b"the page" in kept
        assert b"leaderboard" in kept


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("comet", "comet upload /trackers/comet/*.zip"),
        ("swanlab", "in /trackers/swanlab"),
        ("clearml", "clearml.Task.import_offline_session(FILE) for each FILE of /trackers/clearml/offline/*.zip"),
    ],
)
def test_what_is_kept_offline_is_said_to_be_where_it_is_and_the_rest_on_a_server(
    name: TrackerName, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    online, offline = (BACK_ENDS[name](Place(folder=Path("/trackers"), offline=offline)) for offline in (False, True))
    assert online.describe_view() == "on its server"
    assert offline.describe_view() == view


def test_a_cache_of_clearml_that_is_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"CLEARML_CACHE_DIR": "/mine"})
    assert "/mine/offline/" in BACK_ENDS["clearml"](Place(folder=Path("/trackers"), offline=True)).describe_view()


def test_a_tool_that_fails_warns_once_and_is_told_nothing_more(
    runs: list[TrackerRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("no route to https://me:0123456789secret@example.org")

    monkeypatch.setattr(BACK_ENDS["tensorboard"], "start", fail)
    (problem,) = tell("tensorboard", runs, tmp_path)
    assert "ConnectionError: no route to" in problem
    assert "secret" not in problem


def test_a_tool_that_is_not_installed_says_how_to_install_it(
    runs: list[TrackerRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (problem,) = tell("mlflow", runs, tmp_path)
    assert "pip install 'tuneoff[mlflow]'" in problem


def test_a_variable_that_would_mix_trials_is_refused(
    runs: list[TrackerRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_RUN_ID", "a")
    (problem,) = tell("mlflow", runs, tmp_path)
    assert "MLFLOW_RUN_ID" in problem


def test_every_tool_of_a_recipe_has_a_back_end_and_a_class_in_accelerate() -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    assert set(BACK_ENDS) == set(TRACKER_NAMES)
    assert {back_end.accelerate_name for back_end in BACK_ENDS.values()} <= LOGGER_TYPE_TO_CLASS.keys()
