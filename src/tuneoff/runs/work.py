"""What one comparison and its workers agree on, and what they hand each other: the interface of a folder that machines
share (`tuneoff.runs.work_folder`) and of a store of objects (`tuneoff.runs.shared_work`).

An attempt writes into a folder of its own, and one step of the file system or the store makes it the one that counts.
The step fails where another attempt was first. So what is published is always the whole of one attempt, whoever was
asleep in between.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs.layout import CHECKPOINT
from tuneoff.runs.leases import Lease, Leases
from tuneoff.runs.machine import Machine
from tuneoff.system.interrupts import StopRequest
from tuneoff.system.supervisor import ATTEMPTS_FILE

KEPT = (CHECKPOINT, ATTEMPTS_FILE)  # what the next attempt takes over from the one before it
DRIVER = "driver"  # the name of the lease of the comparison itself


class Session(Options):
    """What a comparison tells its workers."""

    recipe: Mapping[str, Any]  # with the data where they are now, which may not be where the run began
    threads: int | None = None  # of a trial on a CPU; None: on a GPU
    elsewhere: bool = False  # workers on other processors, or with other kernels, may run trials and mark the records
    exclusive: bool = False  # a confirmed trial runs alone on its machine


class Work(ABC):
    """The work on one run."""

    @property
    @abstractmethod
    def address(self) -> str:
        """What `tuneoff work` is given to join, on any machine."""

    @property
    @abstractmethod
    def home(self) -> Path:
        """A folder of this machine: of the comparison the run directory, of a worker that or one of its own."""

    @property
    @abstractmethod
    def shared_folder(self) -> Path | None:
        """The folder that all machines must see; None if they need none."""

    @property
    @abstractmethod
    def poll_seconds(self) -> float:
        """The least time between two looks at it."""

    @property
    @abstractmethod
    def leases(self) -> Leases:
        """Who has which trial, and who leads."""

    @property
    @abstractmethod
    def machine(self) -> Machine:
        """The processes that run trials on this machine."""

    # for the comparison

    @abstractmethod
    def begin(self) -> None:
        """Make this place that of the run.

        Raises:
            RunError: another run uses it.
        """

    @abstractmethod
    def write_session(self, session: Session) -> None:
        """Write what the workers need to know."""

    @abstractmethod
    def open(self, trials: Sequence[Trial]) -> None:
        """Open these trials and no others. What the run has of trials that nobody began is made ready for attempts."""

    @abstractmethod
    def close(self, id: str) -> None:
        """Close a trial, and clear away what its attempts left. Whoever still works on it is fenced."""

    @abstractmethod
    def collect(self, ids: Collection[str]) -> list[str]:
        """Bring the records of these trials into the run directory. Return the ids of those that are there."""

    @abstractmethod
    def remove_checkpoints(self, ids: Collection[str]) -> None:
        """Remove the checkpoints of finished trials from which no other trial goes on."""

    @abstractmethod
    def pass_decisions_on(self) -> None:
        """Let the workers know what people decided."""

    @abstractmethod
    def remove(self) -> None:
        """Clear everything away. The run is finished, or goes on without workers.

        Raises:
            StoreError: a store fails.
        """

    # for workers

    @abstractmethod
    def read_session(self) -> Session:
        """Read what the comparison tells its workers.

        Raises:
            RunError: there is no comparison that does, or another version wrote it.
        """

    @abstractmethod
    def list_open(self) -> dict[str, str]:
        """Return the names of the open trials by trial id, in the order to run them."""

    @abstractmethod
    def is_open(self, name: str) -> bool:
        """Return whether a trial is still open."""

    @abstractmethod
    def read_open(self, name: str) -> Trial | None:
        """Read an open trial; None if it was closed in the meantime.

        Raises:
            RunError: another version wrote it, or it is damaged.
        """

    @abstractmethod
    def has_record(self, id: str) -> bool:
        """Return whether a trial is finished."""

    @abstractmethod
    def begin_attempt(self, id: str, lease: Lease) -> Path:
        """Make the folder of an attempt, with the checkpoint of the attempt before it, and return it."""

    @abstractmethod
    def keep(self, folder: Path, lease: Lease, stop: StopRequest) -> contextlib.AbstractContextManager[None]:
        """Keep what the next attempt would take over from this one, as it changes while the block runs.

        Args:
            stop: is asked to stop where it cannot be kept.
        """

    @abstractmethod
    def lend_previous(self, trial: Trial, folder: Path) -> contextlib.AbstractContextManager[Path | None]:
        """Yield the checkpoint of the rung below, where the trial goes on from one.

        Args:
            folder: of the attempt.
        """

    @abstractmethod
    def publish(self, record: Record, folder: Path, lease: Lease) -> bool:
        """Make the files of an attempt those of the trial. Return False if another attempt was first."""

    @abstractmethod
    def take_decisions(self) -> None:
        """Bring what people decided into `home`."""

    @abstractmethod
    def clear_scratch(self) -> None:
        """Remove what this machine has of trials that are not open any more."""


def parse_session(content: bytes | None, place: str) -> Session:
    """Return the session in a file or an object.

    Args:
        content: None if it is not there.
        place: for messages.

    Raises:
        RunError: there is none, or another version wrote it.
    """
    if content is None:
        raise RunError(
            f"{place} has no open trials. `tuneoff compare RECIPE --workers 1` (or --engine) opens them, or is "
            "finished with them."
        )
    try:
        return Session.model_validate_json(content)
    except ValidationError as error:
        raise RunError(
            f"The session of {place} cannot be read: {error}. All machines need the same version of tuneoff."
        ) from error


def parse_open(content: bytes, name: str) -> Trial:
    """Return the trial in a file or an object of this name.

    Raises:
        RunError: another version wrote it, or it is damaged.
    """
    try:
        trial = Trial.model_validate_json(content)
    except ValidationError as error:
        raise RunError(
            f"The open trial {name} cannot be read: {error}. All machines need the same version of tuneoff."
        ) from error
    if trial.id != get_id(name):
        raise RunError(f"{name} holds another trial. Stop the workers and run the same `tuneoff compare` again.")
    return trial


def get_id(name: str) -> str:
    """Return the trial id in the name NUMBER.ID of an open trial."""
    return name.rpartition(".")[2]


def number_new(present: Mapping[str, str], trials: Sequence[Trial]) -> Iterator[tuple[Trial, str]]:
    """Yield the trials that are not open yet, each with its name.

    Args:
        present: the names of the open trials by trial id.
    """
    number = max((int(name.partition(".")[0]) for name in present.values()), default=0)
    for trial in (trial for trial in trials if trial.id not in present):
        number += 1
        yield trial, f"{number:08d}.{trial.id}"


def sort_attempts(names: Collection[str], id: str = "") -> list[str]:
    """Return the names ID.N.TOKEN of the attempts, in their order, of one trial or of all."""
    attempts = [name for name in names if name.count(".") == 2 and name.split(".")[1].isdigit()]
    return sorted((name for name in attempts if name.startswith(id)), key=lambda name: int(name.split(".")[1]))
