"""Weights & Biases: its servers, or folders on this machine that `wandb sync` sends later."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from tuneoff.tracking.back_end import BackEnd, Place
from tuneoff.tracking.content import Point, Table, TrackerRun


@final
class Wandb(BackEnd):
    """A run has an id of ours, and continues under it.

    A server leaves out a step that it has. Offline, each telling is a folder of its own, and `wandb sync` of a second
    one would send everything again, so the folder of an earlier telling is replaced.
    """

    name: ClassVar[str] = "wandb"
    accelerate_name: ClassVar[str] = "wandb"
    module: ClassVar[str] = "wandb"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._is_offline = place.offline or os.environ.get("WANDB_MODE") == "offline"

    @property
    def _parent(self) -> Path:
        return Path(os.environ.get("WANDB_DIR") or self.folder)  # wandb makes a folder of its own name in it

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        from wandb import Settings

        if self._is_offline:
            for folder in (self._parent / "wandb").glob(f"offline-run-*-{run.id}"):
                shutil.rmtree(folder)
        self._parent.mkdir(parents=True, exist_ok=True)
        quiet = {"console": "off", "silent": True, "x_disable_stats": True, "x_disable_meta": True}
        return {
            "run_name": run.project,  # what accelerate passes on as the project
            "id": run.id,
            "name": run.name,
            "group": run.group,
            "tags": [tag[:64] for tag in run.tags],
            "resume": None if self._is_offline else "allow",
            "mode": "offline" if self._is_offline else None,
            "dir": str(self._parent),
            "settings": Settings(**quiet, disable_git=True, disable_code=True),  # the machine is no part of a record
        }

    def log(self, run: TrackerRun) -> None:
        super().log(run)
        final = run.points[-1].values if run.points else {}
        self._tracker.tracker.summary.update(dict(final))  # also where the server has the last step already

    def log_point(self, point: Point) -> None:
        if point.step >= self._tracker.tracker.step:
            super().log_point(point)

    def attach(self, tables: Sequence[Table], files: Sequence[Path], note: str) -> None:
        """Log tables as its own, files as files of the run, and the note as its notes."""
        import wandb

        run = self._tracker.tracker
        for table in tables:
            run.log({table.name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])})
        for file in files:
            run.save(str(file), base_path=str(file.parent), policy="now")
        if note:
            run.notes = note

    def finish(self, *, failed: bool) -> None:
        self._tracker.tracker.finish(exit_code=int(failed))

    def close(self) -> None:
        """End the process that wandb talks through."""
        import wandb

        wandb.teardown()

    def describe_view(self) -> str:
        return f"wandb sync {self._parent}/wandb/offline-run-*" if self._is_offline else "on its server"
