"""The processes of a machine that run trials of the same run, and who of them has it alone."""

import os
from pathlib import Path

import pytest

from tuneoff.runs.machine import Machine
from tuneoff.system import processes


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_trials_beside_are_those_of_other_living_processes_of_this_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine.note_process():
        assert machine.list_beside() == []
        monkeypatch.setattr(os, "getpid", lambda: 1)  # seen from another process
        assert [alone for _, _, alone in machine.list_beside()] == [False]
        monkeypatch.setattr("tuneoff.runs.machine.has_ended", lambda *_: True)
        assert machine.list_beside() == []


def test_whoever_wanted_the_machine_alone_first_gets_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not machine.must_give_way(alone=False)
    with machine.note_process(alone=True):
        assert not machine.must_give_way(alone=True)
        monkeypatch.setattr("tuneoff.runs.machine.has_ended", lambda *_: False)
        start, own = processes.read_start(os.getpid()), os.getpid()
        for pid, starts, gives_way in ((own + 1, start, True), (own - 1, start, False)):
            monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
            monkeypatch.setattr("tuneoff.runs.machine.read_start", lambda _, starts=starts: starts)
            assert machine.must_give_way(alone=False)
            assert machine.must_give_way(alone=True) is gives_way
