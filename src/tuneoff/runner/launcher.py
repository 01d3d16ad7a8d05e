"""The protocol for what starts workers: processes of this machine, a cluster, a batch system."""

from pathlib import Path
from typing import Protocol


class Launcher(Protocol):
    """Starts workers (`tuneoff work RUN`) and ends them. It never decides which trials they run."""

    def start(self, run: Path) -> None:
        """Start the workers."""

    def check(self) -> None:
        """Start workers again that ended too early, if that may help.

        Raises:
            RunError: no worker runs and none will.
        """

    def stop(self) -> None:
        """End the workers; their trials keep their checkpoints. Return when they have ended."""
