"""The protocol for what starts workers: processes of this machine, a cluster, a batch system."""

from typing import Protocol

from tuneoff.runs.work import Work


class Launcher(Protocol):
    """Starts workers (`tuneoff work PLACE`) and ends them. It never decides which trials they run."""

    def start(self, work: Work) -> None:
        """Start the workers."""

    def check(self) -> None:
        """Start workers again that ended too early, if that may help.

        Raises:
            RunError: no worker runs and none will.
        """

    def stop(self) -> None:
        """End the workers; their trials keep their checkpoints. Return when they have ended."""
