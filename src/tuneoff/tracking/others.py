"""Comet, Aim, SwanLab and ClearML, through accelerate's classes alone.

None of them is among the tools that the tests run. Comet, ClearML and Aim were run by hand, offline; SwanLab was not,
because it asks for protobuf below 7. Each run has our id where the tool takes one, but what a tool does with a second
telling of the same steps is its own affair.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from tuneoff.tracking.back_end import BackEnd, Place
from tuneoff.tracking.content import Table, TrackerRun

WATCHED = (  # by ClearML unless each is named; the repository with the source of the program
    "catboost", "detect_repository", "fastai", "gradio", "hydra", "joblib", "lightgbm", "matplotlib", "megengine",
    "pytorch", "scikit", "tensorboard", "tensorflow", "xgboost",
)  # fmt: skip


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
                log_env_details=False, log_git_metadata=False, log_git_patch=False, parse_args=False,
                auto_output_logging=False, display_summary_level=0,
            ),
        }  # fmt: skip

    def describe_view(self) -> str:
        return f"comet upload {self.folder}/*.zip" if self.place.offline else "on its server"


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

    def describe_view(self) -> str:
        return super().describe_view() if self.place.offline else "on its server"


@final
class ClearMl(_Curves):
    """A ClearML server, or archives on this machine."""

    name: ClassVar[str] = "clearml"
    accelerate_name: ClassVar[str] = "clearml"
    module: ClassVar[str] = "clearml"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        os.environ.setdefault("CLEARML_WORKER_NAME", "tuneoff")  # instead of the name of the machine
        if place.offline:  # otherwise its archives are in the user's home
            os.environ.setdefault("CLEARML_CACHE_DIR", str(self.folder.resolve()))

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
            "auto_connect_arg_parser": False,
            "auto_connect_frameworks": dict.fromkeys(WATCHED, False),
            "auto_connect_streams": False,
            "auto_resource_monitoring": False,
        }

    def describe_view(self) -> str:
        if not self.place.offline:
            return "on its server"
        files = f"{os.environ['CLEARML_CACHE_DIR']}/offline/*.zip"
        return f"clearml.Task.import_offline_session(FILE) for each FILE of {files}"
