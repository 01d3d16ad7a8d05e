"""The folder through which one comparison and many workers agree, on one machine or on several that share it.

RUN/work/session.json        what the comparison tells all workers: its recipe, the threads of a trial
RUN/work/open/NUMBER.ID      a trial that may run now; only the comparison writes and removes these
RUN/work/leases/ID.N         who runs it; see `tuneoff.runs.leases`
RUN/work/attempts/ID.N.TOKEN its files while it runs: checkpoint, weights, record
RUN/work/machines/M/S.P.KIND the processes that run a trial on a machine; see `tuneoff.runs.machine`

An attempt writes only into its own folder, and one rename makes that folder `RUN/trials/ID`. The rename fails where
another attempt was first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import final

from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs.layout import ADAPTER, CHECKPOINT, RECORD, TRIALS, WORK, is_trial_id
from tuneoff.runs.leases import Lease, LeaseFolder
from tuneoff.runs.machine import Machine
from tuneoff.runs.work import KEPT, Session, Work, get_id, number_new, parse_open, parse_session, sort_attempts
from tuneoff.runs.writing import write_record
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.interrupts import StopRequest


@final
class WorkFolder(Work):
    """The folder `work` of the run directory at `run`."""

    def __init__(self, run: Path) -> None:
        self._run, self.path = run, run / WORK
        self._leases, self._machine = LeaseFolder(self.path / "leases"), Machine(self.path / "machines")
        self._open, self._attempts = self.path / "open", self.path / "attempts"

    @property
    def address(self) -> str:
        return str(self._run.resolve())

    @property
    def home(self) -> Path:
        return self._run

    @property
    def shared_folder(self) -> Path:
        return self._run

    @property
    def poll_seconds(self) -> float:
        return 0.0

    @property
    def leases(self) -> LeaseFolder:
        return self._leases

    @property
    def machine(self) -> Machine:
        return self._machine

    def begin(self) -> None:
        """The run directory is that of the run already."""

    def write_session(self, session: Session) -> None:
        write_atomically(self.path / "session.json", session.model_dump_json(indent=2) + "\n")

    def open(self, trials: Sequence[Trial]) -> None:
        present, wanted = self.list_open(), {trial.id for trial in trials}
        for id in present.keys() - wanted:
            (self._open / present[id]).unlink(missing_ok=True)
        for trial, name in number_new(present, trials):
            self._set_unfinished_apart(trial.id)
            write_atomically(self._open / name, trial.model_dump_json())

    def close(self, id: str) -> None:
        for name in [name for open_id, name in self.list_open().items() if open_id == id]:
            (self._open / name).unlink(missing_ok=True)
        self.leases.remove_all(id)
        for folder in self._list_attempts(id):
            shutil.rmtree(folder, ignore_errors=True)

    def collect(self, ids: Collection[str]) -> list[str]:
        return [id for id in ids if self.has_record(id)]

    def remove_checkpoints(self, ids: Collection[str]) -> None:
        """They are those of the run directory."""

    def pass_decisions_on(self) -> None:
        """Workers read them in the run directory."""

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def read_session(self) -> Session:
        file = self.path / "session.json"
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            content = None
        except OSError as error:
            raise RunError(f"{file} cannot be read: {error}.") from error
        return parse_session(content, str(self._run))

    def list_open(self) -> dict[str, str]:
        return {get_id(name): name for name in sorted(_list_names(self._open)) if is_trial_id(get_id(name))}

    def is_open(self, name: str) -> bool:
        return (self._open / name).exists()

    def read_open(self, name: str) -> Trial | None:
        try:
            return parse_open((self._open / name).read_bytes(), name)
        except FileNotFoundError:
            return None

    def has_record(self, id: str) -> bool:
        return (self._run / TRIALS / id / RECORD).exists()

    def begin_attempt(self, id: str, lease: Lease) -> Path:
        folder = self._attempts / f"{id}.{lease.attempt}.{lease.token}"
        earlier = self._list_attempts(id)
        folder.mkdir(parents=True)
        for name in KEPT:
            for file in (old / name for old in reversed(earlier)):
                if take_over(file, folder / name):
                    break
        return folder

    def keep(self, folder: Path, lease: Lease, stop: StopRequest) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # others see the folder of the attempt

    @contextlib.contextmanager
    def lend_previous(self, trial: Trial, folder: Path) -> Iterator[Path | None]:
        yield self._run / TRIALS / trial.before.id / CHECKPOINT if trial.before else None

    def publish(self, record: Record, folder: Path, lease: Lease) -> bool:
        target = self._run / TRIALS / record.trial.id
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

    def take_decisions(self) -> None:
        """They are in the run directory."""

    def clear_scratch(self) -> None:
        """The comparison clears away what attempts leave."""

    def restore(self) -> None:
        """Move the checkpoints of unfinished attempts to the folders of their trials, and end all work here.

        A comparison in one process calls this before it begins; workers that still run find themselves fenced.
        """
        for id in {folder.name.partition(".")[0] for folder in self._list_attempts()}:
            target = self._run / TRIALS / id
            for folder in reversed(self._list_attempts(id)):
                if target.exists() or not is_trial_id(id):
                    break
                if (folder / CHECKPOINT).exists():
                    target.mkdir(parents=True)
                    for name in KEPT:
                        take_over(folder / name, target / name)
        self.remove()

    def _set_unfinished_apart(self, id: str) -> None:
        """Make what an earlier process left of a trial without a record the attempt before the first."""
        folder = self._run / TRIALS / id
        if folder.is_dir() and not self.has_record(id):
            self._attempts.mkdir(parents=True, exist_ok=True)
            folder.rename(self._attempts / f"{id}.0.{os.urandom(4).hex()}")

    def _list_attempts(self, id: str = "") -> list[Path]:
        """Return the folders of the attempts, in their order, of one trial or of all."""
        return [self._attempts / name for name in sort_attempts(_list_names(self._attempts), id)]


def take_over(source: Path, target: Path) -> bool:
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
