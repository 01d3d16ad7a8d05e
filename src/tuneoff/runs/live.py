"""What the processes of a run are doing, for those who look on: a file for each process, appended to while it works.

RUN/live/HOST-PID-START.jsonl   one line for each event

Nothing is computed from these files. A process that cannot write them works on, and a line that a crash left half
written is skipped. Since every process writes a file of its own, several may work on a shared folder.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.records.trial import Stage

FOLDER = "live"
Kind = Literal["begin", "plan", "probe", "trial", "step", "end", "over"]


class Count(Options):
    """How many trials of a stage are done, and how many there are."""

    done: int
    of: int
    is_most: bool = False  # there may be fewer


class Event(Options):
    """One line. Which fields it has depends on its kind."""

    at: float  # seconds since 1970, by the clock of the machine that runs
    kind: Kind
    plan: Mapping[str, Count] | None = None  # by stage
    label: str | None = None  # of a trial or of a method that is probed
    trial: str | None = None  # its id
    stage: Stage | None = None
    seed: int | None = None
    share: float | None = None  # of the full training, at which the trial ends
    status: str | None = None  # of a trial that ended
    phase: str | None = None
    done: int | None = None  # of the phase, as the next
    of: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None  # nats per target token
    tokens_per_second: float | None = None
    memory_bytes: int | None = None  # in use now: on a GPU reserved by PyTorch, else resident


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A process that works or worked on a run, and what it wrote."""

    name: str  # of its machine, and its process id
    events: tuple[Event, ...]


def get_host() -> str:
    """Return the name of this machine, as a worker has it."""
    return re.sub(r"[^\w.]", "-", platform.node()) or "machine"


@final
class LiveLog:
    """Appends the events of this process. It never raises: a comparison does not depend on it."""

    def __init__(self, run: Path) -> None:
        self._file = run / FOLDER / f"{get_host()}-{os.getpid()}-{time.time():.0f}.jsonl"

    def write(self, kind: Kind, **fields: object) -> None:
        """Append an event that happens now."""
        with contextlib.suppress(OSError, ValidationError):
            event = Event.model_validate({"at": time.time(), "kind": kind, **fields})
            self._file.parent.mkdir(exist_ok=True)
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(event.model_dump_json(exclude_none=True) + "\n")


@contextlib.contextmanager
def live_log(run: Path) -> Iterator[LiveLog]:
    """Yield the log of this process, which says when the block begins and is over."""
    log = LiveLog(run)
    log.write("begin")
    try:
        yield log
    finally:
        log.write("over")


def read_workers(run: Path) -> tuple[Worker, ...]:
    """Read what the processes of a run wrote, the first one first. Nothing is locked or written."""
    workers = [_read_worker(file) for file in (run / FOLDER).glob("*.jsonl")]
    return tuple(sorted((worker for worker in workers if worker.events), key=lambda worker: worker.events[0].at))


def _read_worker(file: Path) -> Worker:
    events = []
    with contextlib.suppress(OSError):
        for line in file.read_bytes().splitlines():
            with contextlib.suppress(ValidationError):
                events.append(Event.model_validate_json(line))
    host, pid, _ = file.stem.rsplit("-", 2) if file.stem.count("-") > 1 else (file.stem, "", "")
    return Worker(name=f"{host} {pid}".strip(), events=tuple(events))
