"""Trackio: a SQLite file on this machine, with a dashboard of its own; also a Space of the Hugging Face hub."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from tuneoff.tracking.back_end import BackEnd, Place, TrackerError, write_csv
from tuneoff.tracking.content import Point, Table, TrackerRun

REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


@final
class Trackio(BackEnd):
    """A run continues under its name, which is unique in a project. Trackio keeps every value, so it is asked first."""

    name: ClassVar[str] = "trackio"
    accelerate_name: ClassVar[str] = "trackio"
    module: ClassVar[str] = "trackio"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        if place.offline:
            for name in REMOTE:
                os.environ.pop(name, None)
        os.environ.setdefault("TRACKIO_DIR", str(self.folder.resolve()))
        from trackio.utils import TRACKIO_DIR  # read when it is first imported

        wanted = Path(os.environ["TRACKIO_DIR"])
        if wanted.resolve() != Path(TRACKIO_DIR).resolve():
            raise TrackerError(f"trackio writes to {TRACKIO_DIR} in this process, and cannot change to {wanted}.")

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        return {
            "run_name": run.project,  # what accelerate passes on as the project
            "name": run.name,
            "group": run.group,
            "resume": "allow",
            "embed": False,
            "auto_log_cpu": False,  # of this process, which does not train
            "auto_log_gpu": False,
        }

    def start(self, run: TrackerRun) -> None:
        with _quietly():
            super().start(run)

    def list_known(self, run: TrackerRun) -> set[tuple[str, int]]:
        from trackio.sqlite_storage import SQLiteStorage

        if any(os.environ.get(name) for name in REMOTE):
            last = self._tracker.tracker._safe_get_max_step_for_run()
            return {(name, p.step) for p in run.points for name in p.values if last is not None and p.step <= last}
        rows = SQLiteStorage.get_logs(run.project, run.name)
        return {(name, row["step"]) for row in rows for name in row}

    def log_point(self, point: Point) -> None:
        self._tracker.log(dict(point.values), step=point.step)

    def attach(self, tables: Sequence[Table], files: Sequence[Path], note: str) -> None:
        """Keep tables as CSV, the note and files together as an artefact."""
        import trackio

        if not (tables or files or note):
            return
        run = self._tracker.tracker
        with tempfile.TemporaryDirectory() as folder, _quietly():
            artifact = trackio.Artifact(name=run.name, type="tuneoff")
            notes = [Path(folder) / "note.md"] if note else []
            for path in notes:
                path.write_text(note, encoding="utf-8")
            for file in (*write_csv(tables, Path(folder)), *notes, *files):
                artifact.add_file(str(file))
            run.log_artifact(artifact)

    def finish(self, *, failed: bool) -> None:
        with _quietly():
            super().finish(failed=failed)

    def describe_view(self) -> str:
        return f"TRACKIO_DIR={os.environ['TRACKIO_DIR']} trackio show"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep trackio's own messages out of what a command prints: one for each trial that begins and ends."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
