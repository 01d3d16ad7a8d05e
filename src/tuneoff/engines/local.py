"""Workers on this machine, each a process of its own: for its cores or its GPUs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

from tuneoff.engines.engine import Engine, count_cores
from tuneoff.engines.worker_process import BAD_INPUT, MOST_RESTARTS, start_worker
from tuneoff.errors import RunError


@final
class LocalEngine(Engine):
    """Starts workers on this machine. On GPUs, each has one of its own."""

    name: ClassVar[str] = "local"

    def choose_threads(self) -> int:
        return max(1, count_cores() // self.workers)

    def build(self, *, on_gpu: bool, threads: int | None) -> LocalLauncher:
        return LocalLauncher(assign_gpus(self.workers) if on_gpu else [{}] * self.workers)


def assign_gpus(workers: int) -> list[Mapping[str, str]]:
    """Return environment variables that give each worker a GPU of its own.

    Raises:
        RunError: there are fewer GPUs than workers.
    """
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    if workers > len(gpus):
        raise RunError(
            f"This machine has {len(gpus)} GPU{'s' if len(gpus) != 1 else ''} for {workers} workers, and two trials on "
            f"one GPU would slow each other down. Write --workers {len(gpus)}."
        )
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:workers]]


@final
class LocalLauncher:
    """Runs one worker for each of some environments, and starts one again that was killed."""

    def __init__(self, environments: Sequence[Mapping[str, str]], arguments: Sequence[str] = ("--quiet",)) -> None:
        self._environments, self._arguments = environments, arguments
        self._processes: list[subprocess.Popen[bytes]] = []
        self._restarts = [0] * len(environments)
        self._run = Path()

    def start(self, run: Path) -> None:
        self._run = run
        self._processes = [start_worker(run, self._arguments, environment) for environment in self._environments]

    def check(self) -> None:
        for slot, process in enumerate(self._processes):
            code = process.poll()
            if code is None or code == BAD_INPUT or self._restarts[slot] >= MOST_RESTARTS:
                continue
            self._restarts[slot] += 1
            self._processes[slot] = start_worker(self._run, self._arguments, self._environments[slot])
        codes = [process.poll() for process in self._processes]
        if all(code is not None for code in codes):
            raise RunError(
                f"No worker of {self._run} runs any more; they ended with {', '.join(map(str, codes))} and said why "
                "above. Finished trials are kept, and the same command continues."
            )

    def stop(self) -> None:
        self.terminate()
        self.wait()

    def terminate(self) -> None:
        """Ask every worker to stop after its step."""
        for process in self._processes:
            process.terminate()

    def wait(self) -> list[int]:
        """Wait until all workers have ended, and return their exit codes."""
        codes = []
        for process in self._processes:
            with process:
                codes.append(process.wait())
        return codes
