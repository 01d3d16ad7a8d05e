"""What only a folder has: what is damaged or changed by hand, and a run that goes on in one process."""

from pathlib import Path

import pytest

from tests.runs.test_work import CHECKPOINT, ID, claim, make_trial, replace
from tuneoff.errors import RunError
from tuneoff.runs.work import Session
from tuneoff.runs.work_folder import WorkFolder


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


def test_an_open_trial_that_was_changed_is_refused(work: WorkFolder) -> None:
    work.open([make_trial(0), make_trial(1)])
    first, second = work.list_open().values()
    (work.path / "open" / first).write_bytes((work.path / "open" / second).read_bytes())
    with pytest.raises(RunError, match="holds another trial"):
        work.read_open(first)


def test_what_one_process_left_of_a_trial_is_gone_on_with_and_the_other_way_round(
    work: WorkFolder, tmp_path: Path
) -> None:
    left = tmp_path / "trials" / ID
    left.mkdir(parents=True)
    (left / CHECKPOINT).write_bytes(b"half")
    work.open([make_trial()])
    assert not left.exists()
    folder = work.begin_attempt(ID, claim(work))
    assert (folder / CHECKPOINT).read_bytes() == b"half"
    replace(folder / CHECKPOINT, b"most")
    work.restore()
    assert (left / CHECKPOINT).read_bytes() == b"most"
    assert not work.path.exists()


def test_a_session_of_another_version_is_refused(work: WorkFolder) -> None:
    work.write_session(Session(recipe={}))
    (work.path / "session.json").write_text('{"recipe": {}, "of_a_newer_version": 1}')
    with pytest.raises(RunError, match="same version of tuneoff"):
        work.read_session()
