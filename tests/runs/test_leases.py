"""At most one worker owns a trial, whatever sleeps, dies or is slow, and whatever the clocks of the machines say.

In a folder and in a store of objects, which here is a folder too, or S3.
"""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tuneoff.runs import lease_objects, leases
from tuneoff.runs.lease_objects import LeaseObjects
from tuneoff.runs.leases import Lease, LeaseFolder, Leases, Watcher, get_name, keep_beating
from tuneoff.runs.store import open_store

NAME = "0123456789ab"
FIRST, SECOND = get_name(NAME, 1), get_name(NAME, 2)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "STALE_SECONDS", 0.3)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease_objects, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(lease_objects, "BEAT_SECONDS", 0.05)


@pytest.fixture(params=["folder", "file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Leases:
    if request.param == "folder":
        return LeaseFolder(tmp_path)
    if request.param == "s3":
        request.getfixturevalue("s3")
    store = open_store("s3://tests/mine" if request.param == "s3" else f"file://{tmp_path}")
    return LeaseObjects(store)


@pytest.fixture
def folder(tmp_path: Path) -> LeaseFolder:
    return LeaseFolder(tmp_path)


def claim(place: Leases, after: int = 0) -> Lease:
    lease = Watcher(place).claim(NAME, after)
    assert lease is not None
    return lease


def wait_until_stale(place: Leases) -> None:
    time.sleep(place.stale_seconds + 0.05)


def test_one_of_many_that_claim_at_once_gets_the_lease(place: Leases) -> None:
    start, got = threading.Barrier(16), []

    def compete() -> None:
        watcher = Watcher(place)
        start.wait()
        got.append(watcher.claim(NAME, 0))

    threads = [threading.Thread(target=compete) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in got) == 1
    assert place.list_names() == [FIRST]


def test_a_lease_is_stale_once_a_watcher_has_seen_no_change_for_long_enough_by_its_own_clock(place: Leases) -> None:
    claim(place)
    watcher = Watcher(place)
    assert watcher.read(NAME, 1)[0] == "held"
    wait_until_stale(place)
    assert watcher.read(NAME, 1)[0] == "stale"
    assert Watcher(place).read(NAME, 1)[0] == "held"  # one that has only begun to watch knows nothing yet


def test_the_clock_of_the_machine_that_wrote_a_lease_does_not_count(folder: LeaseFolder) -> None:
    claim(folder)
    watcher = Watcher(folder)
    for written in (0, time.time() + 1e6):  # by a machine whose clock is decades off
        os.utime(folder.path / FIRST, (written, written))
        assert watcher.read(NAME, 1)[0] == "held"


def test_a_lease_whose_owner_beats_is_never_stale_and_says_how_far_it_is(place: Leases) -> None:
    lease, watcher = claim(place), Watcher(place)
    with keep_beating(lease, lambda: {"phase": "training"}):
        states = set()
        for _ in range(10):
            states.add(watcher.read(NAME, 1)[0])
            time.sleep(place.stale_seconds / 5)
    assert states == {"held"}
    assert watcher.read(NAME, 1)[1]["note"] == {"phase": "training"}


def test_a_released_lease_can_be_taken_at_once(place: Leases) -> None:
    claim(place).release()
    assert Watcher(place).read(NAME, 1)[0] == "released"
    assert claim(place, after=1).attempt == 2


def test_the_lease_of_a_process_that_died_on_this_machine_is_stale_at_once(folder: LeaseFolder) -> None:
    code = (
        f"from pathlib import Path; from tuneoff.runs.leases import LeaseFolder, Watcher; folder = {str(folder.path)!r}"
    )
    subprocess.run([sys.executable, "-c", f"{code}; Watcher(LeaseFolder(Path(folder))).claim({NAME!r}, 0)"], check=True)
    assert Watcher(folder).read(NAME, 1)[0] == "stale"


def test_a_sleeper_that_comes_back_is_fenced_and_its_signs_of_life_land_nowhere_else(place: Leases) -> None:
    sleeper = claim(place)
    assert sleeper.is_ours()
    successor = claim(place, after=1)
    before = place.read(SECOND)
    sleeper.beat({"phase": "training"})
    sleeper.release()
    assert not sleeper.is_ours()
    assert successor.is_ours()
    assert place.read(SECOND) == before


def test_a_sleeper_is_fenced_when_the_trial_was_finished_and_begun_anew_meanwhile(place: Leases) -> None:
    sleeper = claim(place)
    place.remove_all(NAME)
    assert not sleeper.is_ours()
    anew = claim(place)
    sleeper.beat()
    sleeper.release()
    assert (sleeper.is_ours(), anew.is_ours(), anew.attempt) == (False, True, 1)
    assert Watcher(place).read(NAME, 1)[0] == "held"


def test_of_two_that_take_a_stale_lease_one_gets_it(place: Leases) -> None:
    claim(place)
    first, second = Watcher(place), Watcher(place)
    assert first.claim(NAME, 1) is not None
    assert second.claim(NAME, 1) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff" * 1024, b'{"token": 1}', b"null"])
def test_a_lease_that_cannot_be_read_is_held_until_it_is_stale(content: bytes, folder: LeaseFolder) -> None:
    (folder.path / FIRST).write_bytes(content)
    watcher = Watcher(folder)
    assert watcher.read(NAME, 1)[0] == "held"
    wait_until_stale(folder)
    assert watcher.read(NAME, 1)[0] == "stale"


def test_without_links_a_file_is_created_exclusively(folder: LeaseFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    lease = claim(folder)
    assert lease.is_ours()
    assert Watcher(folder).claim(NAME, 0) is None
    lease.beat({"phase": "loading"})
    assert Watcher(folder).read(NAME, 1)[1]["beat"] == 1


def test_a_link_whose_answer_was_lost_on_the_way_is_ours(folder: LeaseFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_and_repeat(*arguments: Any) -> None:  # as an NFS client that sends its request again
        link(*arguments)
        link(*arguments)

    monkeypatch.setattr(os, "link", link_and_repeat)
    assert claim(folder).is_ours()


def test_a_note_that_is_too_long_is_left_out(folder: LeaseFolder) -> None:
    lease = claim(folder)
    lease.beat({"phase": "x" * 2000})
    content = Watcher(folder).read(NAME, 1)[1]
    assert (content["beat"], "note" in content) == (1, False)
    assert (folder.path / FIRST).stat().st_size == leases.SIZE
