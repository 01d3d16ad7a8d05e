"""The folder through which one comparison and many workers agree, on one machine or on several that share it.

RUN/work/session.json        what the comparison tells all workers: its recipe, the threads of a trial
RUN/work/open/NUMBER.ID      a trial that may run now; only the comparison writes and removes these
RUN/work/leases/ID.N         who runs it; see `tuneoff.runs.leases`
RUN/work/attempts/ID.N.TOKEN its files while it runs: checkpoint, weights, record
RUN/work/machines/M/S.P.KIND the processes that run a trial on a machine: start, id, alone or beside others

An attempt writes only into its own folder, and one rename makes that folder `RUN/trials/ID`. The rename fails where
another attempt was first. So what is published is always the whole of one attempt, whoever was asleep in between.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs.layout import ADAPTER, CHECKPOINT, RECORD, TRIALS, WORK, is_trial_id
from tuneoff.runs.leases import Lease, remove_leases
from tuneoff.runs.writing import write_record
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.processes import has_ended, identify_machine, read_start
from tuneoff.system.supervisor import ATTEMPTS_FILE

KEPT = (CHECKPOINT, ATTEMPTS_FILE)  # what the next attempt takes over from the one before it
DRIVER = "driver"  # the name of the lease of the comparison itself


class Session(Options):
    """What a comparison tells its workers."""

    recipe: Mapping[str, Any]  # with the data where they are now, which may not be where the run began
    threads: int | None = None  # of a trial on a CPU; None: on a GPU
    elsewhere: bool = False  # workers on other processors, or with other kernels, may run trials and mark the records
    exclusive: bool = False  # a confirmed trial runs alone on its machine


@final
class WorkFolder:
    """The folder `work` of the run directory at `run`."""

    def __init__(self, run: Path) -> None:
        self.run, self.path = run, run / WORK
        self.leases, self._open, self._attempts = self.path / "leases", self.path / "open", self.path / "attempts"
        self._processes = self.path / "machines" / identify_machine()

    def write_session(self, session: Session) -> None:
        """Write what the workers need to know."""
        write_atomically(self.path / "session.json", session.model_dump_json(indent=2) + "\n")

    def read_session(self) -> Session:
        """Read what the comparison tells its workers.

        Raises:
            RunError: there is no comparison that does, or another version wrote it.
        """
        file = self.path / "session.json"
        try:
            return Session.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            raise RunError(
                f"{self.run} has no open trials. `tuneoff compare RECIPE --workers 1` (or --engine) opens them, or is "
                "finished with them."
            ) from None
        except (OSError, ValidationError) as error:
            raise RunError(f"{file} cannot be read: {error}. All machines need the same version of tuneoff.") from error

    def list_open(self) -> dict[str, Path]:
        """Return the files of the open trials by trial id, in the order to run them."""
        files = sorted(entry for entry in _list_names(self._open) if is_trial_id(entry.rpartition(".")[2]))
        return {file.rpartition(".")[2]: self._open / file for file in files}

    def open(self, trials: Sequence[Trial]) -> None:
        """Open these trials and no others. What the folder has of trials without a lease is made ready for attempts."""
        present, wanted = self.list_open(), {trial.id: trial for trial in trials}
        for id in present.keys() - wanted.keys():
            present[id].unlink(missing_ok=True)
        number = max((int(file.name.partition(".")[0]) for file in present.values()), default=0)
        for trial in (trial for id, trial in wanted.items() if id not in present):
            self._set_unfinished_apart(trial.id)
            number += 1
            write_atomically(self._open / f"{number:08d}.{trial.id}", trial.model_dump_json())

    def close(self, id: str) -> None:
        """Close a trial, and clear away what its attempts left. Whoever still works on it is fenced."""
        for file in [file for name, file in self.list_open().items() if name == id]:
            file.unlink(missing_ok=True)
        remove_leases(self.leases, id)
        for folder in self._list_attempts(id):
            shutil.rmtree(folder, ignore_errors=True)

    def read_open(self, file: Path) -> Trial | None:
        """Read an open trial; None if it was closed in the meantime.

        Raises:
            RunError: another version wrote it, or it is damaged.
        """
        try:
            trial = Trial.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise RunError(f"{file} cannot be read: {error}. All machines need the same version of tuneoff.") from error
        if trial.id != file.name.rpartition(".")[2]:
            raise RunError(f"{file} holds another trial. Stop the workers and run the same `tuneoff compare` again.")
        return trial

    def has_record(self, id: str) -> bool:
        """Return whether a trial is finished."""
        return (self.run / TRIALS / id / RECORD).exists()

    def begin_attempt(self, id: str, lease: Lease) -> Path:
        """Make the folder of an attempt, with the checkpoint of the attempt before it, and return it."""
        folder = self._attempts / f"{id}.{lease.attempt}.{lease.token}"
        earlier = self._list_attempts(id)
        folder.mkdir(parents=True)
        for name in KEPT:
            for file in (old / name for old in reversed(earlier)):
                if _take_over(file, folder / name):
                    break
        return folder

    def publish(self, record: Record, folder: Path, lease: Lease) -> bool:
        """Make the folder of an attempt that of the trial. Return False if another attempt was first."""
        target = self.run / TRIALS / record.trial.id
        if not lease.is_ours():  # before anything is written, such as to a run directory that was moved
            return False
        write_record(folder, record, folder / ADAPTER)
        if not lease.is_ours():
            return False
        try:
            target.parent.mkdir(exist_ok=True)
            folder.rename(target)
        except OSError:
            if target.exists() or not folder.exists():
                return False
            raise
        return True

    @contextlib.contextmanager
    def note_process(self, *, alone: bool = False) -> Iterator[None]:
        """Say that this process runs a trial on its machine while the block runs, for `list_beside`.

        Args:
            alone: whether it wants the machine for itself.
        """
        pid = os.getpid()
        self._processes.mkdir(parents=True, exist_ok=True)
        file = self._processes / f"{read_start(pid) or 0}.{pid}.{'alone' if alone else 'beside'}"
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
        for name in _list_names(self._processes):
            start, pid, kind = (*name.split("."), "", "", "")[:3]
            if not (pid.isdigit() and start.isdigit()) or int(pid) == os.getpid():
                continue
            if has_ended(machine, int(pid), int(start)):
                (self._processes / name).unlink(missing_ok=True)
            else:
                beside.append((int(start), int(pid), kind == "alone"))
        return beside

    def restore(self) -> None:
        """Move the checkpoints of unfinished attempts to the folders of their trials, and end all work here.

        A comparison in one process calls this before it begins; workers that still run find themselves fenced.
        """
        for id in {folder.name.partition(".")[0] for folder in self._list_attempts()}:
            target = self.run / TRIALS / id
            for folder in reversed(self._list_attempts(id)):
                if target.exists() or not is_trial_id(id):
                    break
                if (folder / CHECKPOINT).exists():
                    target.mkdir(parents=True)
                    for name in KEPT:
                        _take_over(folder / name, target / name)
        self.remove()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _set_unfinished_apart(self, id: str) -> None:
        """Make what an earlier process left of a trial without a record the attempt before the first."""
        folder = self.run / TRIALS / id
        if folder.is_dir() and not self.has_record(id):
            self._attempts.mkdir(parents=True, exist_ok=True)
            folder.rename(self._attempts / f"{id}.0.{os.urandom(4).hex()}")

    def _list_attempts(self, id: str = "") -> list[Path]:
        """Return the folders of the attempts, in their order, of one trial or of all."""
        names = [name for name in _list_names(self._attempts) if name.count(".") == 2 and name.startswith(id)]
        return [self._attempts / name for name in sorted(names, key=lambda name: int(name.split(".")[1]))]


def _take_over(source: Path, target: Path) -> bool:
    """Link or copy a file that is only ever replaced as a whole. Return whether there was one."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        return False
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
    return True


def _list_names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
