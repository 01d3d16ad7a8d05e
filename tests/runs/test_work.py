"""What is published of a trial is the whole of one attempt, and the next attempt goes on from its checkpoint: in a
folder that machines share, and through a store of objects, which here is a folder too, or S3."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.samples import make_setting
from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs import attempt_files, lease_objects
from tuneoff.runs.leases import Lease, Watcher
from tuneoff.runs.reading import read_record
from tuneoff.runs.shared_work import SharedWork
from tuneoff.runs.store import open_store
from tuneoff.runs.work import Session, Work
from tuneoff.runs.work_folder import WorkFolder
from tuneoff.system.interrupts import StopRequest

CHECKPOINT, DEATHS = "checkpoint.safetensors", "attempts.json"
Join = Callable[[str], Work]


def make_trial(seed: int = 0) -> Trial:
    return Trial(label="lora", method="lora", hyperparameters={}, setting=make_setting(), seed=seed)


ID = make_trial().id


def make_record(reason: str) -> Record:
    return Record(trial=make_trial(), status="failed", reason=reason)


@pytest.fixture(params=["folder", "file", "s3"])
def join(request: pytest.FixtureRequest, tmp_path: Path) -> Join:
    """A function that joins the work on one run from a machine: `run` leads, and others are workers."""
    if request.param == "folder":
        return lambda _: WorkFolder(tmp_path / "run")
    if request.param == "s3":
        request.getfixturevalue("s3")
    url = "s3://tests/mine" if request.param == "s3" else f"file://{tmp_path}/share"
    return lambda machine: SharedWork(open_store(url), tmp_path / machine)


@pytest.fixture
def lead(join: Join, tmp_path: Path) -> Work:
    (tmp_path / "run").mkdir()
    work = join("run")
    work.begin()
    return work


@pytest.fixture
def worker(join: Join) -> Work:
    return join("a")


def claim(work: Work, after: int = 0) -> Lease:
    lease = Watcher(work.leases).claim(ID, after)
    assert lease is not None
    return lease


def run(work: Work, lease: Lease, checkpoint: bytes | None) -> Path:
    """Begin an attempt that writes a checkpoint and is then gone. Return its folder."""
    folder = work.begin_attempt(ID, lease)
    with work.keep(folder, lease, StopRequest()):
        if checkpoint is not None:
            replace(folder / CHECKPOINT, checkpoint)
    return folder


def replace(file: Path, content: bytes) -> None:
    file.with_name("new").write_bytes(content)
    file.with_name("new").replace(file)


def test_what_is_open_is_what_was_last_opened_in_its_order(lead: Work, worker: Work) -> None:
    trials = [make_trial(seed) for seed in range(12)]
    lead.open(trials)
    assert list(worker.list_open()) == [trial.id for trial in trials]
    assert [worker.read_open(name) for name in worker.list_open().values()] == trials
    first = worker.list_open()[trials[0].id]
    lead.open([*trials[5:], make_trial(12)])
    assert list(worker.list_open()) == [trial.id for trial in trials[5:]] + [make_trial(12).id]
    assert (worker.is_open(first), worker.read_open(first)) == (False, None)


def test_what_is_published_is_brought_into_the_run_directory(lead: Work, worker: Work, tmp_path: Path) -> None:
    lead.open([make_trial()])
    assert lead.collect([ID]) == []
    lease = claim(worker)
    folder = run(worker, lease, b"half")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights").write_bytes(b"trained")
    assert worker.publish(make_record("as it was"), folder, lease)
    assert worker.has_record(ID)
    assert lead.collect([ID, make_trial(1).id]) == [ID]
    published = tmp_path / "run" / "trials" / ID
    assert read_record(published).reason == "as it was"
    assert (published / "adapter" / "weights").read_bytes() == b"trained"
    assert (published / CHECKPOINT).read_bytes() == b"half"  # of a failed trial, which --retry goes on with
    assert not folder.exists()


def test_a_fenced_attempt_publishes_nothing_and_keeps_nothing(lead: Work, join: Join, tmp_path: Path) -> None:
    early, late = join("a"), join("b")
    lead.open([make_trial()])
    sleeper = claim(early)
    its_folder = run(early, sleeper, b"old")
    successor = claim(late, after=1)
    folder = run(late, successor, b"new")
    if its_folder.exists():
        with early.keep(its_folder, sleeper, StopRequest()):
            replace(its_folder / CHECKPOINT, b"late")
    assert not early.publish(make_record("late"), its_folder, sleeper)
    assert late.publish(make_record("in time"), folder, successor)
    assert lead.collect([ID]) == [ID]
    assert read_record(tmp_path / "run" / "trials" / ID).reason == "in time"


def test_of_two_attempts_that_both_believe_in_their_lease_one_is_published_as_a_whole(
    lead: Work, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a worker sleeps between its last look at the lease and the step that publishes."""
    machines = [join("a"), join("b")]
    leases = [claim(machines[0]), claim(machines[1], after=1)]
    folders = [work.begin_attempt(ID, lease) for work, lease in zip(machines, leases, strict=True)]
    monkeypatch.setattr(Lease, "is_ours", lambda _: True)
    published = [
        machines[i].publish(make_record(name), folders[i], leases[i]) for i, name in ((1, "second"), (0, "first"))
    ]
    assert published == [True, False]
    assert lead.collect([ID]) == [ID]
    assert read_record(tmp_path / "run" / "trials" / ID).reason == "second"


def test_an_attempt_takes_over_the_checkpoint_of_the_last_one_that_has_one_from_any_machine(
    lead: Work, join: Join
) -> None:
    for after, machine, content in ((0, "a", b"old"), (1, "b", b"new"), (2, "c", None)):
        work = join(machine)
        run(work, claim(work, after), content)
    worker = join("d")
    folder = worker.begin_attempt(ID, claim(worker, 3))
    assert (folder / CHECKPOINT).read_bytes() == b"new"


def test_a_checkpoint_is_kept_while_the_trial_runs_and_who_died_with_it(
    lead: Work, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_files, "KEEP_SECONDS", 0.05)
    killed, other = join("a"), join("b")
    lease = claim(killed)
    folder = killed.begin_attempt(ID, lease)
    with killed.keep(folder, lease, StopRequest()):
        for content in (b"first", b"second"):
            replace(folder / CHECKPOINT, content)
            (folder / DEATHS).write_text('{"steps": 3}')
            time.sleep(0.5)
        its = other.begin_attempt(ID, claim(other, after=1))
        assert (its / CHECKPOINT).read_bytes() == b"second"
        assert (its / DEATHS).read_text() == '{"steps": 3}'


def test_a_trial_of_the_next_rung_goes_on_from_the_checkpoint_of_the_one_before(lead: Work, join: Join) -> None:
    lower = Trial(**{**dict(make_trial()), "stage": "search", "rungs": (0.5,)})
    upper = lower.model_copy(update={"rungs": (0.5, 1.0)})
    assert upper.before is not None
    assert upper.before.id == lower.id
    worker, other = join("a"), join("b")
    lead.open([lower])
    lease = Watcher(worker.leases).claim(lower.id, 0)
    assert lease is not None
    folder = worker.begin_attempt(lower.id, lease)
    with worker.keep(folder, lease, StopRequest()):
        replace(folder / CHECKPOINT, b"lower")
    assert worker.publish(Record(trial=lower, status="done"), folder, lease)
    assert lead.collect([lower.id]) == [lower.id]
    lead.close(lower.id)
    lead.open([upper])
    its_lease = Watcher(other.leases).claim(upper.id, 0)
    assert its_lease is not None
    its_folder = other.begin_attempt(upper.id, its_lease)
    with other.lend_previous(upper, its_folder) as previous:
        assert previous is not None
        assert previous.read_bytes() == b"lower"


def test_what_one_process_left_of_a_trial_is_gone_on_with(lead: Work, worker: Work, tmp_path: Path) -> None:
    left = tmp_path / "run" / "trials" / ID
    left.mkdir(parents=True)
    (left / CHECKPOINT).write_bytes(b"half")
    lead.open([make_trial()])
    folder = worker.begin_attempt(ID, claim(worker))
    assert (folder / CHECKPOINT).read_bytes() == b"half"


def test_a_closed_trial_leaves_nothing_and_fences_whoever_has_it(lead: Work, worker: Work) -> None:
    lead.open([make_trial()])
    lease = claim(worker)
    run(worker, lease, b"half")
    lead.close(ID)
    assert not lease.is_ours()
    assert (worker.list_open(), worker.leases.list_names()) == ({}, [])
    anew = claim(worker)
    worker.clear_scratch()
    assert not (worker.begin_attempt(ID, anew) / CHECKPOINT).exists()


def test_a_session_is_read_as_it_was_written_and_its_absence_says_what_to_do(lead: Work, worker: Work) -> None:
    with pytest.raises(RunError, match=r"no open trials.*tuneoff compare RECIPE --workers"):
        worker.read_session()
    session = Session(recipe={"name": "r"}, threads=2)
    lead.write_session(session)
    assert worker.read_session() == session


def test_workers_know_what_people_decided(lead: Work, worker: Work) -> None:
    lead.pass_decisions_on()
    (lead.home / "decisions.jsonl").write_text("one\n")
    lead.pass_decisions_on()
    worker.take_decisions()
    assert (worker.home / "decisions.jsonl").read_text() == "one\n"


def test_nothing_is_left_after_the_end(lead: Work, worker: Work, tmp_path: Path) -> None:
    lead.write_session(Session(recipe={}))
    lead.open([make_trial(), make_trial(1)])
    lease = claim(worker)
    folder = run(worker, lease, b"half")
    worker.publish(make_record("done"), folder, lease)
    lead.collect([ID])
    lead.remove()
    assert (worker.list_open(), worker.leases.list_names(), worker.has_record(make_trial(1).id)) == ({}, [], False)
    assert sorted(entry.name for entry in (tmp_path / "run").iterdir()) == ["trials"]


# Only through a store.


@pytest.fixture
def shared(tmp_path: Path) -> Callable[[str], SharedWork]:
    def open_and_join(machine: str) -> SharedWork:
        (tmp_path / machine).mkdir(exist_ok=True)
        return SharedWork(open_store(f"file://{tmp_path}/share"), tmp_path / machine)

    return open_and_join


def test_a_place_that_another_run_uses_is_refused_and_whose_it_is_told(
    shared: Callable[[str], SharedWork], tmp_path: Path
) -> None:
    first = shared("run")
    first.begin()
    shared("run").begin()  # the same run again, whose comparison was killed
    with pytest.raises(RunError, match=rf"is used by another run, of {tmp_path}/run on .*another place with --share"):
        shared("other").begin()
    first.remove()
    shared("other").begin()


def test_a_place_with_other_objects_is_refused_and_they_stay(
    shared: Callable[[str], SharedWork], tmp_path: Path
) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "thesis.pdf").write_bytes(b"years of work")
    with pytest.raises(RunError, match=r"contains other objects \(thesis.pdf\)"):
        shared("run").begin()
    assert (tmp_path / "share" / "thesis.pdf").exists()


def test_a_published_file_that_is_damaged_does_not_count_and_the_trial_runs_again(
    shared: Callable[[str], SharedWork], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lead, worker = shared("run"), shared("a")
    lead.begin()
    lead.open([make_trial()])
    lease = claim(worker)
    worker.publish(make_record("first"), run(worker, lease, None), lease)
    for file in (tmp_path / "share" / "files").glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1])
    assert lead.collect([ID]) == []
    assert "missing or damaged, so it runs again" in caplog.text
    assert not worker.has_record(ID)
    again = claim(worker, after=1)
    assert worker.publish(make_record("second"), run(worker, again, None), again)
    assert lead.collect([ID]) == [ID]
    assert read_record(tmp_path / "run" / "trials" / ID).reason == "second"


def test_a_checkpoint_that_is_damaged_on_the_way_is_not_taken_over(
    shared: Callable[[str], SharedWork], tmp_path: Path
) -> None:
    first, second = shared("a"), shared("b")
    run(first, claim(first), b"whole")
    for file in (tmp_path / "share" / "files").glob("*/*"):
        file.write_bytes(b"whol")
    assert not (second.begin_attempt(ID, claim(second, after=1)) / CHECKPOINT).exists()


@pytest.mark.parametrize("name", ["../../../escaped", "/escaped", "adapter/../../escaped"])
def test_a_published_name_that_leads_out_of_the_run_is_refused(
    name: str, shared: Callable[[str], SharedWork], tmp_path: Path
) -> None:
    lead = shared("run")
    (tmp_path / "share" / "published").mkdir(parents=True)
    (tmp_path / "share" / "published" / ID).write_text(f'{{"attempt": "{ID}.1.ab", "files": {{"{name}": "ab"}}}}')
    with pytest.raises(RunError, match="is no file of an attempt"):
        lead.collect([ID])


def test_a_checkpoint_that_is_newer_on_this_machine_than_in_the_store_is_gone_on_with(
    shared: Callable[[str], SharedWork],
) -> None:
    worker = shared("a")
    folder = run(worker, claim(worker), b"stored")
    replace(folder / CHECKPOINT, b"newer")
    again = shared("a").begin_attempt(ID, claim(worker, after=1))
    assert (again / CHECKPOINT).read_bytes() == b"newer"
    assert not folder.exists()


def test_the_next_rung_goes_on_in_a_new_place_from_the_checkpoint_in_the_run_directory(
    shared: Callable[[str], SharedWork], tmp_path: Path
) -> None:
    """As after a budget was extended: what was in the old place is gone."""
    lower = Trial(**{**dict(make_trial()), "stage": "search", "rungs": (0.5,)})
    upper = lower.model_copy(update={"rungs": (0.5, 1.0)})
    lead, worker = shared("run"), shared("a")
    lead.begin()
    folder = tmp_path / "run" / "trials" / lower.id
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).write_bytes(b"lower")
    (folder / "record.json").write_text("{}")
    lead.open([upper])
    lease = Watcher(worker.leases).claim(upper.id, 0)
    assert lease is not None
    with worker.lend_previous(upper, worker.begin_attempt(upper.id, lease)) as previous:
        assert previous is not None
        assert previous.read_bytes() == b"lower"
    lead.remove_checkpoints({lower.id})
    with worker.lend_previous(upper, worker.begin_attempt(upper.id, lease_after(worker, upper.id))) as previous:
        assert previous is None


def lease_after(work: Work, id: str) -> Lease:
    lease = Watcher(work.leases).claim(id, 1)
    assert lease is not None
    return lease


def test_signs_of_life_of_one_that_was_cleared_away_keep_no_other_lease_alive(
    shared: Callable[[str], SharedWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_objects, "STALE_SECONDS", 0.3)
    work = shared("a")
    sleeper = claim(work)
    work.leases.remove_all(ID)
    claim(work)
    watcher = Watcher(work.leases)
    for _ in range(4):
        state = watcher.read(ID, 1)[0]
        sleeper.beat()
        time.sleep(0.15)
    assert state == "stale"


def test_the_scratch_folder_has_only_what_is_open(shared: Callable[[str], SharedWork]) -> None:
    lead, worker = shared("run"), shared("a")
    lead.begin()
    lead.open([make_trial()])
    folder = run(worker, claim(worker), b"half")
    worker.clear_scratch()
    assert folder.exists()
    lead.open([])
    worker.clear_scratch()
    assert not folder.exists()
    shutil.rmtree(worker.home)
