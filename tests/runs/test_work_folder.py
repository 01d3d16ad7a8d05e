"""What is published of a trial is the whole of one attempt, and the next attempt goes on from its checkpoint."""

import os
from pathlib import Path

import pytest

from tests.samples import make_setting
from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs.leases import Lease, Watcher
from tuneoff.runs.reading import read_record
from tuneoff.runs.work_folder import Session, WorkFolder
from tuneoff.system import processes


def make_trial(seed: int = 0) -> Trial:
    return Trial(label="lora", method="lora", hyperparameters={}, setting=make_setting(), seed=seed)


def make_record(reason: str) -> Record:
    return Record(trial=make_trial(), status="failed", reason=reason)


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


def claim(work: WorkFolder, after: int = 0) -> Lease:
    lease = Watcher(work.leases).claim(make_trial().id, after)
    assert lease is not None
    return lease


def test_what_is_open_is_what_was_last_opened_in_its_order(work: WorkFolder) -> None:
    trials = [make_trial(seed) for seed in range(12)]
    work.open(trials)
    assert list(work.list_open()) == [trial.id for trial in trials]
    assert [work.read_open(file) for file in work.list_open().values()] == trials
    work.open([*trials[5:], make_trial(12)])
    assert list(work.list_open()) == [trial.id for trial in trials[5:]] + [make_trial(12).id]


def test_an_open_trial_that_was_changed_is_refused(work: WorkFolder) -> None:
    work.open([make_trial(0), make_trial(1)])
    first, second = work.list_open().values()
    first.write_bytes(second.read_bytes())
    with pytest.raises(RunError, match="holds another trial"):
        work.read_open(first)


def test_a_fenced_attempt_publishes_nothing(work: WorkFolder, tmp_path: Path) -> None:
    sleeper = claim(work)
    late = work.begin_attempt(make_trial().id, sleeper)
    successor = claim(work, after=1)
    folder = work.begin_attempt(make_trial().id, successor)
    assert not work.publish(make_record("late"), late, sleeper)
    assert work.publish(make_record("in time"), folder, successor)
    assert read_record(tmp_path / "trials" / make_trial().id).reason == "in time"


def test_of_two_attempts_that_both_believe_in_their_lease_one_is_published_as_a_whole(
    work: WorkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a worker sleeps between its last look at the lease and the renaming."""
    leases = [claim(work), claim(work, after=1)]
    folders = [work.begin_attempt(make_trial().id, lease) for lease in leases]
    monkeypatch.setattr(Lease, "is_ours", lambda _: True)
    published = [
        work.publish(make_record(name), folder, lease)
        for name, folder, lease in zip(("second", "first"), reversed(folders), reversed(leases), strict=True)
    ]
    assert published == [True, False]
    assert read_record(tmp_path / "trials" / make_trial().id).reason == "second"


def test_an_attempt_takes_over_the_checkpoint_of_the_last_one_that_has_one(work: WorkFolder) -> None:
    for after, content in ((0, b"old"), (1, b"new"), (2, None)):
        folder = work.begin_attempt(make_trial().id, claim(work, after))
        if content:
            (folder / "checkpoint.safetensors").unlink(missing_ok=True)
            (folder / "checkpoint.safetensors").write_bytes(content)
    folder = work.begin_attempt(make_trial().id, claim(work, 3))
    assert (folder / "checkpoint.safetensors").read_bytes() == b"new"


def test_what_one_process_left_of_a_trial_is_gone_on_with_and_the_other_way_round(
    work: WorkFolder, tmp_path: Path
) -> None:
    left = tmp_path / "trials" / make_trial().id
    left.mkdir(parents=True)
    (left / "checkpoint.safetensors").write_bytes(b"half")
    work.open([make_trial()])
    assert not left.exists()
    folder = work.begin_attempt(make_trial().id, claim(work))
    assert (folder / "checkpoint.safetensors").read_bytes() == b"half"
    (folder / "checkpoint.safetensors").unlink()
    (folder / "checkpoint.safetensors").write_bytes(b"most")
    work.restore()
    assert (left / "checkpoint.safetensors").read_bytes() == b"most"
    assert not work.path.exists()


def test_a_closed_trial_leaves_nothing_and_fences_whoever_has_it(work: WorkFolder) -> None:
    work.open([make_trial()])
    lease = claim(work)
    folder = work.begin_attempt(make_trial().id, lease)
    work.close(make_trial().id)
    assert not lease.is_ours()
    assert not folder.exists()
    assert (work.list_open(), os.listdir(work.leases)) == ({}, [])


def test_trials_beside_are_those_of_other_living_processes_of_this_machine(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with work.note_process():
        assert work.list_beside() == []
        monkeypatch.setattr(os, "getpid", lambda: 1)  # seen from another process
        assert [alone for _, _, alone in work.list_beside()] == [False]
        monkeypatch.setattr("tuneoff.runs.work_folder.has_ended", lambda *_: True)
        assert work.list_beside() == []


def test_whoever_wanted_the_machine_alone_first_gets_it(work: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not work.must_give_way(alone=False)
    with work.note_process(alone=True):
        assert not work.must_give_way(alone=True)
        monkeypatch.setattr("tuneoff.runs.work_folder.has_ended", lambda *_: False)
        start, own = processes.read_start(os.getpid()), os.getpid()
        for pid, starts, gives_way in ((own + 1, start, True), (own - 1, start, False)):
            monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
            monkeypatch.setattr("tuneoff.runs.work_folder.read_start", lambda _, starts=starts: starts)
            assert work.must_give_way(alone=False)
            assert work.must_give_way(alone=True) is gives_way


def test_a_session_is_read_as_it_was_written_and_its_absence_says_what_to_do(work: WorkFolder) -> None:
    with pytest.raises(RunError, match=r"no open trials.*tuneoff compare RECIPE --workers"):
        work.read_session()
    session = Session(recipe={"name": "r"}, threads=2)
    work.write_session(session)
    assert work.read_session() == session
    (work.path / "session.json").write_text('{"recipe": {}, "of_a_newer_version": 1}')
    with pytest.raises(RunError, match="same version of tuneoff"):
        work.read_session()
