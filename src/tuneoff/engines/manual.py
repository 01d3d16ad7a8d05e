"""Workers that the user starts: over ssh, as Kubernetes Jobs, with SkyPilot, or in other terminals."""

from __future__ import annotations

from typing import ClassVar, final

from tuneoff.engines.engine import Engine
from tuneoff.runs.work import Work


@final
class ManualEngine(Engine):
    """Starts nothing: trials run wherever somebody runs `tuneoff work`."""

    name: ClassVar[str] = "manual"

    def choose_threads(self) -> int | None:
        return None

    def build(self, *, on_gpu: bool, threads: int | None, devices: int = 1) -> ManualLauncher:
        return ManualLauncher()


@final
class ManualLauncher:
    """Launches nothing, so there is nothing to check or to end: workers end when the comparison does."""

    def start(self, work: Work) -> None:
        pass

    def check(self) -> None:
        pass

    def stop(self) -> None:
        pass
