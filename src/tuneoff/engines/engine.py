"""The contract of an engine."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.runner.launcher import Launcher


class Engine(Options):
    """A way to start workers."""

    name: ClassVar[str]

    workers: int = Field(1, ge=1, le=10_000)
    """How many trials run at the same time."""

    @abstractmethod
    def choose_threads(self) -> int | None:
        """Return how many CPU threads each worker should use where a run does not say so yet; None: the usual."""

    @abstractmethod
    def build(self, *, on_gpu: bool, threads: int | None, devices: int = 1) -> Launcher:
        """Return the launcher of the workers.

        Args:
            on_gpu: whether trials run on a GPU.
            threads: of each worker on a CPU.
            devices: of a trial, and so of each worker.

        Raises:
            RunError: the engine cannot be used here. The message says what would help.
        """


def read_threads(device: str) -> int | None:
    """Return the threads in a setting's name of a CPU; None for a GPU."""
    match = re.search(r", (\d+) threads$", device)
    return int(match[1]) if match else None
