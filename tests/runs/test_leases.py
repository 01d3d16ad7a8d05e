"""At most one worker owns a trial, whatever sleeps, dies or is slow, and whatever the clocks of the machines say."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tuneoff.runs import leases
from tuneoff.runs.leases import Lease, Watcher, get_file, keep_beating, remove_leases

NAME = "0123456789ab"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "STALE_SECONDS", 0.3)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)


def claim(folder: Path, after: int = 0) -> Lease:
    lease = Watcher(folder).claim(NAME, after)
    assert lease is not None
    return lease


def test_one_of_many_that_claim_at_once_gets_the_lease(tmp_path: Path) -> None:
    start, got = threading.Barrier(16), []

    def compete() -> None:
        watcher = Watcher(tmp_path)
        start.wait()
        got.append(watcher.claim(NAME, 0))

    threads = [threading.Thread(target=compete) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in got) == 1
    assert os.listdir(tmp_path) == [f"{NAME}.1"]


def test_a_lease_is_stale_once_a_watcher_has_seen_no_change_for_long_enough_by_its_own_clock(tmp_path: Path) -> None:
    claim(tmp_path)
    watcher = Watcher(tmp_path)
    for written in (0, time.time() + 1e6):  # by a machine whose clock is decades off
        os.utime(get_file(tmp_path, NAME, 1), (written, written))
        assert watcher.read(NAME, 1)[0] == "held"
    time.sleep(0.35)
    assert watcher.read(NAME, 1)[0] == "stale"
    assert Watcher(tmp_path).read(NAME, 1)[0] == "held"  # one that has only begun to watch knows nothing yet


def test_a_lease_whose_owner_beats_is_never_stale_and_says_how_far_it_is(tmp_path: Path) -> None:
    lease, watcher = claim(tmp_path), Watcher(tmp_path)
    with keep_beating(lease, lambda: {"phase": "training"}):
        states = set()
        for _ in range(10):
            states.add(watcher.read(NAME, 1)[0])
            time.sleep(0.1)
    assert states == {"held"}
    assert watcher.read(NAME, 1)[1]["note"] == {"phase": "training"}


def test_a_released_lease_can_be_taken_at_once(tmp_path: Path) -> None:
    claim(tmp_path).release()
    assert Watcher(tmp_path).read(NAME, 1)[0] == "released"
    assert claim(tmp_path, after=1).attempt == 2


def test_the_lease_of_a_process_that_died_on_this_machine_is_stale_at_once(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from tuneoff.runs.leases import Watcher; Watcher(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", f"{code}.claim({NAME!r}, 0)"], check=True)
    assert Watcher(tmp_path).read(NAME, 1)[0] == "stale"


def test_a_sleeper_that_comes_back_is_fenced_and_its_signs_of_life_land_nowhere_else(tmp_path: Path) -> None:
    sleeper = claim(tmp_path)
    assert sleeper.is_ours()
    successor = claim(tmp_path, after=1)
    before = get_file(tmp_path, NAME, 2).read_bytes()
    sleeper.beat({"phase": "training"})
    sleeper.release()
    assert not sleeper.is_ours()
    assert successor.is_ours()
    assert get_file(tmp_path, NAME, 2).read_bytes() == before


def test_a_sleeper_is_fenced_when_the_trial_was_finished_and_begun_anew_meanwhile(tmp_path: Path) -> None:
    sleeper = claim(tmp_path)
    remove_leases(tmp_path, NAME)
    assert not sleeper.is_ours()
    anew = claim(tmp_path)
    sleeper.beat()
    assert (sleeper.is_ours(), anew.is_ours(), anew.attempt) == (False, True, 1)


def test_of_two_that_take_a_stale_lease_one_gets_it(tmp_path: Path) -> None:
    claim(tmp_path)
    first, second = Watcher(tmp_path), Watcher(tmp_path)
    assert first.claim(NAME, 1) is not None
    assert second.claim(NAME, 1) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff" * 1024, b'{"token": 1}', b"null"])
def test_a_lease_that_cannot_be_read_is_held_until_it_is_stale(content: bytes, tmp_path: Path) -> None:
    get_file(tmp_path, NAME, 1).write_bytes(content)
    watcher = Watcher(tmp_path)
    assert watcher.read(NAME, 1)[0] == "held"
    time.sleep(0.35)
    assert watcher.read(NAME, 1)[0] == "stale"


def test_without_links_a_file_is_created_exclusively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    lease = claim(tmp_path)
    assert lease.is_ours()
    assert Watcher(tmp_path).claim(NAME, 0) is None
    lease.beat({"phase": "loading"})
    assert Watcher(tmp_path).read(NAME, 1)[1]["beat"] == 1


def test_a_link_whose_answer_was_lost_on_the_way_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_and_repeat(*arguments: Any) -> None:  # as an NFS client that sends its request again
        link(*arguments)
        link(*arguments)

    monkeypatch.setattr(os, "link", link_and_repeat)
    assert claim(tmp_path).is_ours()


def test_a_note_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    lease = claim(tmp_path)
    lease.beat({"phase": "x" * 2000})
    content = Watcher(tmp_path).read(NAME, 1)[1]
    assert (content["beat"], "note" in content) == (1, False)
    assert get_file(tmp_path, NAME, 1).stat().st_size == leases.SIZE
