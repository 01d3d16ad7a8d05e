"""Tell tracking tools about runs. A tool that fails says why once, and is told nothing more."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tuneoff.config.tracking import TrackerName
from tuneoff.runs.layout import TRACKERS
from tuneoff.runs.redaction import redact
from tuneoff.system.atomic_write import write_atomically
from tuneoff.tracking import BACK_ENDS
from tuneoff.tracking.back_end import BackEnd, Place, accelerate_state
from tuneoff.tracking.content import Group, TrackerRun


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a tool was told."""

    name: TrackerName
    runs: int  # of the tool
    view: str  # how to see them
    problem: str = ""  # why it was told no more; empty if nothing failed


@final
class Teller:
    """Tells one tool.

    Args:
        warn: called once, with why the tool is told nothing more.
    """

    def __init__(self, name: TrackerName, place: Place, warn: Callable[[str], None]) -> None:
        self.name, self._place, self._warn = name, place, warn
        self._back_end: BackEnd | None = None
        self._told: set[str] = set()
        self._view = self._problem = ""

    def tell(self, run: TrackerRun) -> None:
        """Tell the tool about one run, unless it failed before."""
        if self._problem:
            return
        try:
            with accelerate_state():
                self._tell(run)
        except Exception as error:  # a tool may raise anything, and a comparison does not depend on it
            self._problem = redact(f"{type(error).__name__}: {error}".strip())
            self._warn(f"{self.name} is told nothing more. {self._problem}")
        self._told |= set() if self._problem else {run.id}

    def _tell(self, run: TrackerRun) -> None:
        if self._back_end is None:
            BACK_ENDS[self.name].require_installed()
            self._back_end = BACK_ENDS[self.name](self._place)
        self._back_end.start(run)
        try:
            self._back_end.log(run)
            self._back_end.attach(run.tables, run.files, run.note)
        finally:
            self._back_end.finish(failed=run.failed)

    def close(self) -> Told:
        """End what the tool started, and return what it was told."""
        if self._back_end is not None:
            try:
                self._view = self._back_end.describe_view()
                self._back_end.close()
            except Exception as error:  # as above
                self._problem = self._problem or redact(f"{type(error).__name__}: {error}")
        return Told(name=self.name, runs=len(self._told), view=self._view, problem=self._problem)


def make_tellers(
    names: Sequence[TrackerName], folder: Path, warn: Callable[[str], None], *, offline: bool
) -> list[Teller]:
    """Return a teller for each tool.

    Args:
        folder: for what tools write on this machine.
    """
    place = Place(folder=folder, offline=offline)
    return [Teller(name, place, warn) for name in dict.fromkeys(names)]


def identify_group(run: Path, project: str) -> Group:
    """Return the names of a run directory, which gets an id that it keeps wherever it is moved."""
    file = run / TRACKERS
    try:
        id = str(json.loads(file.read_text("utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError):
        id = secrets.token_hex(8)
        try:
            write_atomically(file, json.dumps({"id": id}) + "\n")
        except OSError:  # a directory that cannot be written; then its place stands for its id
            id = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
    return Group(id=id, project=project, name=run.resolve().name)
