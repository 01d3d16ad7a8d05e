"""A trial that kills its process twice at the same step is skipped; one that makes progress is not."""

import os
from pathlib import Path
from typing import Any

import pytest

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner import attempt, crashes
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.local_engine import run_missing
from tuneoff.runner.prepare import Preparation, prepare
from tuneoff.runs import RunDirectory
from tuneoff.runtime.progress import Progress
from tuneoff.system import supervisor
from tuneoff.system.interrupts import Stopped


@pytest.fixture(autouse=True)
def without_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook."""
    monkeypatch.delenv(supervisor.WORKER_VARIABLE, raising=False)


@pytest.fixture
def preparation(recipe: dict[str, Any]) -> Preparation:
    return prepare(Recipe.read(recipe | {"methods": ["lora"]}))


def run_comparison(preparation: Preparation, path: Path, *, retry: bool = False) -> list[Record]:
    directory = RunDirectory(path)
    run_missing(preparation.recipe, preparation, directory, SilentListener(), retry=retry)
    return list(directory.read_records())


def run_and_die(preparation: Preparation, path: Path, monkeypatch: pytest.MonkeyPatch, steps: int = 0) -> None:
    """Run in a process that dies when its trial starts, resuming from a checkpoint of `steps` steps if not 0."""

    def die(*_: Any) -> Record:
        os._exit(9)

    monkeypatch.setattr(attempt, "read_steps", lambda _: steps)
    child = os.fork()
    if child == 0:
        attempt.run_trial = die
        run_comparison(preparation, path)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def run_successfully(trial: Trial, *_: Any) -> Record:
    return Record(trial=trial, status="done")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_trial_in_which_the_process_died_twice_is_recorded_as_failed_and_runs_again_only_with_retry(
    preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(crashes.MAX_DEATHS):
        run_and_die(preparation, tmp_path, monkeypatch)
    (record,) = run_comparison(preparation, tmp_path)
    assert record.status == "failed"
    assert "The process died twice in this trial" in (record.reason or "")
    monkeypatch.setattr(attempt, "run_trial", run_successfully)
    assert run_comparison(preparation, tmp_path) == [record]
    assert [record.status for record in run_comparison(preparation, tmp_path, retry=True)] == ["done"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_trial_that_made_progress_before_the_process_died_continues(
    preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in (0, 5, 7, 9):
        run_and_die(preparation, tmp_path, monkeypatch, steps)
    monkeypatch.setattr(attempt, "run_trial", run_successfully)
    assert [record.status for record in run_comparison(preparation, tmp_path)] == ["done"]


@pytest.mark.parametrize("reason", [Stopped("SIGTERM"), KeyboardInterrupt()], ids=["requested", "immediate"])
def test_a_stopped_trial_does_not_count_as_a_death(
    reason: BaseException, preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> Record:
        raise reason

    monkeypatch.setattr(attempt, "run_trial", stop)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run_comparison(preparation, tmp_path)
    monkeypatch.setattr(attempt, "run_trial", run_successfully)
    assert [record.status for record in run_comparison(preparation, tmp_path)] == ["done"]
    assert not list(tmp_path.rglob(crashes.ATTEMPTS_FILE))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_death_that_the_supervisor_did_not_outlive_never_counts_against_a_trial(
    preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a power failure, or a scheduler that ends the job, again and again in one long evaluation."""
    monkeypatch.setenv(supervisor.WORKER_VARIABLE, "1")
    for _ in range(2 * crashes.MAX_DEATHS_IN_ALL):
        run_and_die(preparation, tmp_path, monkeypatch)
    monkeypatch.setattr(attempt, "run_trial", run_successfully)
    assert [record.status for record in run_comparison(preparation, tmp_path)] == ["done"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_death_that_the_supervisor_outlived_counts(
    preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(supervisor.WORKER_VARIABLE, "1")
    for is_outlived in (True, False, True):
        run_and_die(preparation, tmp_path, monkeypatch)
        if is_outlived:
            supervisor._confirm_death(tmp_path, "1")
    assert [record.status for record in run_comparison(preparation, tmp_path)] == ["failed"]


def let_die(folder: Path, *, mark: str, confirmed: bool = True) -> crashes.Attempt:
    """Begin an attempt, come as far as a mark, and die; return the attempt."""
    attempt = crashes.begin_attempt(folder, steps=0)
    left = attempt.model_copy(update={"mark": mark, "supervised": True, "died": confirmed})
    (folder / crashes.ATTEMPTS_FILE).write_text(left.model_dump_json())
    return attempt


def test_only_deaths_at_the_same_place_make_a_trial_hopeless_soon(tmp_path: Path) -> None:
    for mark in ("evaluation 0 1", "evaluation 0 4", "predictions 0 2"):
        assert not let_die(tmp_path, mark=mark).is_hopeless
    assert not let_die(tmp_path, mark="predictions 0 2").is_hopeless
    assert crashes.begin_attempt(tmp_path, steps=0).is_hopeless


def test_a_trial_in_which_processes_die_everywhere_is_skipped_in_the_end(tmp_path: Path) -> None:
    for place in range(crashes.MAX_DEATHS_IN_ALL):
        assert not let_die(tmp_path, mark=f"evaluation 0 {place}").is_hopeless
    assert crashes.begin_attempt(tmp_path, steps=0).is_hopeless
    assert not crashes.begin_attempt(tmp_path, steps=5).is_hopeless


def test_an_evaluation_notes_how_far_it_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashes, "MARK_INTERVAL_SECONDS", 0.0)
    with crashes.mark_running(tmp_path, crashes.Attempt(steps=0)) as note:
        for done, tenth in ((1, 0), (50, 5), (99, 9)):
            note(Progress(phase="evaluation", done=done, of=100))
            attempt = crashes.Attempt.model_validate_json((tmp_path / crashes.ATTEMPTS_FILE).read_bytes())
            assert attempt.mark == f"evaluation 0 {tenth}"
    assert not (tmp_path / crashes.ATTEMPTS_FILE).exists()
