"""The contract of a tracking tool: start a run of it, log points, attach tables and files, finish.

Each tool is one file and one entry in `tuneoff.tracking.BACK_ENDS`. What talks to the tool is accelerate's class for
it. What differs between tools, and is written here, is how a run gets an id of ours, what the tool has of it already,
and where tables and files go.

A run is told whole whenever a record is new. So a tool must know or be asked which points it has: telling the same
trial twice adds nothing.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tuneoff.errors import TuneoffError
from tuneoff.tracking.content import Point, Table, TrackerRun


class TrackerError(TuneoffError, RuntimeError):
    """A tracking tool is not installed, or is set up in a way that would mix trials up."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a tool keeps what it is told."""

    folder: Path  # for what tools write on this machine
    offline: bool  # send nothing, whatever the environment says


class BackEnd(ABC):
    """One tracking tool, with at most one of its runs open at a time."""

    name: ClassVar[str]  # in a recipe
    accelerate_name: ClassVar[str]  # of its class in accelerate
    module: ClassVar[str]  # that must be installed

    def __init__(self, place: Place) -> None:
        self.place = place
        self._tracker: Any = None  # Any: accelerate ships no types

    @property
    def folder(self) -> Path:
        """The folder of this tool."""
        return self.place.folder / self.name

    @classmethod
    def require_installed(cls) -> None:
        """Check that the tool can be imported.

        Raises:
            TrackerError: it is not installed.
        """
        if importlib.util.find_spec(cls.module) is None:
            raise TrackerError(f"{cls.name} is not installed. Install it: {cls.describe_install()}")

    @classmethod
    def describe_install(cls) -> str:
        """Return the command that installs the tool."""
        return f"pip install 'tuneoff[{cls.name}]'"

    def start(self, run: TrackerRun) -> None:
        """Begin the tool's run, or continue it if the tool knows its id."""
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        self._tracker = LOGGER_TYPE_TO_CLASS[self.accelerate_name](**self.make_options(run))
        self._tracker.main_process_only = False  # this is the only process
        self._tracker.start()
        self.store_config(run)

    @abstractmethod
    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:  # Any: what the tool takes
        """Return the arguments of accelerate's class."""

    def store_config(self, run: TrackerRun) -> None:
        """Tell the tool what identifies the run."""
        self._tracker.store_init_configuration(dict(run.config))

    def list_known(self, run: TrackerRun) -> set[tuple[str, int]]:
        """Return which values the tool has of the run, as name and step. A tool that replaces a run has none."""
        return set()

    def log(self, run: TrackerRun) -> None:
        """Tell the tool the points that it does not have yet."""
        known = self.list_known(run)
        for point in run.points:
            if new := {name: value for name, value in point.values.items() if (name, point.step) not in known}:
                self.log_point(Point(step=point.step, values=new))

    def log_point(self, point: Point) -> None:
        """Tell the tool one point."""
        self._tracker.log(dict(point.values), step=point.step)

    @abstractmethod
    def attach(self, tables: Sequence[Table], files: Sequence[Path], note: str) -> None:
        """Attach tables, files and a note, as far as the tool can hold them."""

    def finish(self, *, failed: bool) -> None:
        """End the tool's run."""
        self._tracker.finish()

    def close(self) -> None:  # noqa: B027 - most tools start nothing
        """End what the tool started in other processes. Called once, after the last run."""

    def describe_view(self) -> str:
        """Return how to see what the tool was told."""
        return f"in {self.folder}"


def write_csv(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write each table into the folder, as CSV, for tools that hold files but no tables."""
    files = []
    for table in tables:
        file = folder / f"{table.name}.csv"
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(table.columns)
            writer.writerows(table.rows)
        files.append(file)
    return files


@contextlib.contextmanager
def accelerate_state() -> Iterator[None]:
    """Give accelerate the state that its classes need, and leave none behind: a training may follow in this process."""
    from accelerate.state import PartialState

    if PartialState._shared_state:
        yield
        return
    PartialState(cpu=True)
    try:
        yield
    finally:
        PartialState._reset_state()
