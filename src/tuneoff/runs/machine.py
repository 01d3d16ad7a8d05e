"""The processes that run a trial of a run on this machine.

FOLDER/M/START.PID.KIND    one file for each: when it started, its id, and whether it is `alone` or `beside` others
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import final

from tuneoff.system.processes import has_ended, identify_machine, read_start


@final
class Machine:
    """The processes of this machine. Others may note theirs in the same folder, if they share it.

    Args:
        folder: for all machines.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / identify_machine()

    @contextlib.contextmanager
    def note_process(self, *, alone: bool = False) -> Iterator[None]:
        """Say that this process runs a trial while the block runs, for `list_beside`.

        Args:
            alone: whether it wants the machine for itself.
        """
        pid = os.getpid()
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{read_start(pid) or 0}.{pid}.{'alone' if alone else 'beside'}"
        file.touch()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def must_give_way(self, *, alone: bool) -> bool:
        """Return whether another process of this machine wants it for itself, and wanted it before this one."""
        own = (read_start(os.getpid()) or 0, os.getpid())
        others = [(start, pid) for start, pid, is_alone in self.list_beside() if is_alone]
        return bool(others) and not (alone and own < min(others))

    def list_beside(self) -> list[tuple[int, int, bool]]:
        """List the other processes that run a trial of this run on this machine: start, id, and whether alone."""
        beside, machine = [], identify_machine()
        for name in _list_names(self.folder):
            start, pid, kind = (*name.split("."), "", "", "")[:3]
            if not (pid.isdigit() and start.isdigit()) or int(pid) == os.getpid():
                continue
            if has_ended(machine, int(pid), int(start)):
                (self.folder / name).unlink(missing_ok=True)
            else:
                beside.append((int(start), int(pid), kind == "alone"))
        return beside


def _list_names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
