"""Workers on this machine, each a process of its own: for its cores or its GPUs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from tuneoff.engines.engine import Engine
from tuneoff.engines.worker_process import BAD_INPUT, MOST_RESTARTS, start_worker
from tuneoff.errors import RunError
from tuneoff.runs.work import Work
from tuneoff.system.capacity import count_cores


@final
class LocalEngine(Engine):
    """Starts workers on this machine. On GPUs, each has its own: one, or as many as a trial has devices."""

    name: ClassVar[str] = "local"

    def choose_threads(self) -> int:
        return max(1, count_cores() // self.workers)

    def build(self, *, on_gpu: bool, threads: int | None, devices: int = 1) -> LocalLauncher:
        return LocalLauncher(assign_gpus(self.workers, devices) if on_gpu else [{}] * self.workers)


def assign_gpus(workers: int, devices: int = 1) -> list[Mapping[str, str]]:
    """Return environment variables that give each worker GPUs of its own.

    Args:
        devices: of a trial, and so of each worker.

    Raises:
        RunError: there are too few GPUs.
    """
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    room = len(gpus) // devices
    if workers > room:
        each = f" with {devices} devices each" if devices > 1 else ""
        cure = f"Write --workers {room}" if room else f"Write training.devices: {len(gpus)}"
        raise RunError(
            f"This machine has {len(gpus)} GPU{'s' if len(gpus) != 1 else ''} for {workers} workers{each}, and two "
            f"trials on one GPU would slow each other down. {cure}."
        )
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[i * devices : (i + 1) * devices])} for i in range(workers)]


@final
class LocalLauncher:
    """Runs one worker for each of some environments, and starts one again that was killed."""

    def __init__(self, environments: Sequence[Mapping[str, str]], arguments: Sequence[str] = ("--quiet",)) -> None:
        self._environments, self._arguments = environments, arguments
        self._processes: list[subprocess.Popen[bytes]] = []
        self._restarts = [0] * len(environments)
        self._address = ""

    def start(self, work: Work) -> None:
        self._address = work.address
        self._processes = [self._start(environment) for environment in self._environments]

    def check(self) -> None:
        for slot, process in enumerate(self._processes):
            code = process.poll()
            if code is None or code == BAD_INPUT or self._restarts[slot] >= MOST_RESTARTS:
                continue
            self._restarts[slot] += 1
            self._processes[slot] = self._start(self._environments[slot])
        codes = [process.poll() for process in self._processes]
        if all(code is not None for code in codes):
            raise RunError(
                f"No worker of {self._address} runs any more; they ended with {', '.join(map(str, codes))} and said "
                "why above. Finished trials are kept, and the same command continues."
            )

    def stop(self) -> None:
        self.terminate()
        self.wait()

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return start_worker(self._address, self._arguments, environment)

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
