"""Comet, Aim, SwanLab and ClearML, through accelerate's classes alone.

None of them is among the tools that the tests run. Each run has our id where the tool takes one, but what a tool does
with a second telling of the same steps is its own affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from tuneoff.tracking.back_end import BackEnd
from tuneoff.tracking.content import Table, TrackerRun


class _Curves(BackEnd):
    """A tool that is told hyperparameters and points, and no tables or files."""

    @classmethod
    def describe_install(cls) -> str:
        return f"pip install {cls.module}"

    def attach(self, tables: Sequence[Table], files: Sequence[Path], note: str) -> None:
        pass


@final
class Comet(_Curves):
    """Comet's servers, or an archive that `comet upload` sends later."""

    name: ClassVar[str] = "comet"
    accelerate_name: ClassVar[str] = "comet_ml"
    module: ClassVar[str] = "comet_ml"

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        from comet_ml import ExperimentConfig

        self.folder.mkdir(parents=True, exist_ok=True)
        return {
            "run_name": run.project,
            "experiment_key": run.id * 2,  # 32 to 50 letters and digits
            "mode": "create" if self.place.offline else "get_or_create",
            "online": not self.place.offline,
            "experiment_config": ExperimentConfig(
                name=run.name, tags=[run.group, *run.tags], offline_directory=str(self.folder), log_code=False,
                log_env_details=False,
            ),
        }  # fmt: skip


@final
class Aim(_Curves):
    """A repository of Aim on this machine."""

    name: ClassVar[str] = "aim"
    accelerate_name: ClassVar[str] = "aim"
    module: ClassVar[str] = "aim"

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return {
            "run_name": run.name,
            "logging_dir": self.folder,
            "experiment": run.group,
            "system_tracking_interval": None,
            "log_system_params": False,
        }

    def describe_view(self) -> str:
        return f"aim up --repo {self.folder}"


@final
class SwanLab(_Curves):
    """SwanLab's servers, or folders on this machine."""

    name: ClassVar[str] = "swanlab"
    accelerate_name: ClassVar[str] = "swanlab"
    module: ClassVar[str] = "swanlab"

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        return {
            "run_name": run.project,
            "id": (run.id * 2)[:21],
            "experiment_name": run.name,
            "group": run.group,
            "tags": list(run.tags),
            "resume": "allow",
            "mode": "offline" if self.place.offline else None,
            "logdir": str(self.folder),
        }


@final
class ClearMl(_Curves):
    """A ClearML server, or archives on this machine."""

    name: ClassVar[str] = "clearml"
    accelerate_name: ClassVar[str] = "clearml"
    module: ClassVar[str] = "clearml"

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        from clearml import Task

        if self.place.offline:
            Task.set_offline(offline_mode=True)
        return {
            "run_name": run.name,
            "project_name": f"{run.project}/{run.group}",
            "task_name": run.name,
            "tags": list(run.tags),
            "reuse_last_task_id": True,
            "auto_connect_frameworks": False,
            "auto_resource_monitoring": False,
        }
