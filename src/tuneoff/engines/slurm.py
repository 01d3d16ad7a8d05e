"""Workers as the jobs of one SLURM array, submitted by submitit (an extra: `tuneoff[slurm]`).

Two minutes before its time limit, or when it is preempted, a job gets a signal: its worker stops after the step with a
checkpoint, and the job is put into the queue again. Another worker may go on with the trial at once.

submitit hands the function over in pickles of its own, in `RUN/work/slurm`. Whoever can write there can run code as
you on the nodes, so the folder of the run must be yours alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar, Literal, final

from pydantic import Field, field_validator

from tuneoff.engines.engine import Engine
from tuneoff.engines.worker_process import start_worker, wait_for_checkpoints
from tuneoff.errors import RunError
from tuneoff.runs.layout import WORK
from tuneoff.runs.work import Work

SIGNAL_SECONDS = 120  # before the time limit
MOST_REQUEUES = 1000  # of a job that reaches its time limit again and again
CHECK_SECONDS = 10.0  # between two questions to SLURM
END_SECONDS = 10.0  # for cancelled processes of this machine, which may have been started to ignore SIGINT
LOG_LINES = 15


@final
class SlurmEngine(Engine):
    """Starts workers as jobs of SLURM."""

    name: ClassVar[str] = "slurm"

    sbatch: tuple[str, ...] = ()
    """Lines for SBATCH, such as `--partition=gpu`. They take precedence over ours."""
    minutes: int = Field(24 * 60, ge=5)
    """The time limit of a job; its work goes on in the next one."""
    cpus: int = Field(4, ge=1)
    """Cores of a job, and on a CPU the threads of a trial."""
    cluster: Literal["slurm", "local"] = "slurm"
    """`local` runs the same jobs as processes of this machine, to try them."""

    @field_validator("sbatch")
    @classmethod
    def _require_options(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            if not line.startswith("--"):
                raise ValueError(f"{line!r} is no option of sbatch: write it as --partition=gpu")
        return lines

    def choose_threads(self) -> int:
        return self.cpus

    def build(self, *, on_gpu: bool, threads: int | None, devices: int = 1) -> SlurmLauncher:
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise RunError("--engine slurm needs submitit: pip install 'tuneoff[slurm]'") from None
        return SlurmLauncher(self, gpus=devices if on_gpu else None, cpus=max(self.cpus, threads or 1))

    def parse_sbatch(self) -> dict[str, Any]:
        """Return the lines for SBATCH by option; True for one without a value."""
        options = (line.removeprefix("--").partition("=") for line in self.sbatch)
        return {name: value if sign else True for name, sign, value in options}


@final
class SlurmLauncher:
    """Submits the array, asks after its jobs, and cancels them."""

    def __init__(self, engine: SlurmEngine, *, gpus: int | None, cpus: int) -> None:
        self._engine, self._gpus, self._cpus = engine, gpus, cpus
        self._jobs: list[Any] = []  # of submitit, whose jobs are generic over what they return
        self._work: Work | None = None
        self._address = ""
        self._checked_at = time.monotonic()

    def start(self, work: Work) -> None:
        self._work, self._address = work, work.address
        run = work.home.resolve()
        executor = self._make_executor(run / WORK / "slurm", run.name)
        with executor.batch():
            self._jobs = [executor.submit(WorkJob(work.address)) for _ in range(self._engine.workers)]

    def check(self) -> None:
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = time.monotonic()
        if all(job.done() for job in self._jobs):
            states = ", ".join(f"{job.job_id} {job.state}" for job in self._jobs[:8])
            raise RunError(
                f"No job of {self._address} runs any more ({states}). The last lines of one:\n{self._read_log()}\n"
                "Finished trials are kept, and the same command continues."
            )

    def stop(self) -> None:
        if self._work:
            wait_for_checkpoints(self._work.leases, lambda: all(job.done() for job in self._jobs))
        for job in self._jobs:
            job.cancel(check=False)
        if self._engine.cluster == "local":
            end = time.monotonic() + END_SECONDS
            while not all(job.done() for job in self._jobs) and time.monotonic() < end:
                time.sleep(0.05)

    def _make_executor(self, folder: Path, name: str) -> Any:
        import submitit

        if self._engine.cluster == "local":
            local = submitit.LocalExecutor(folder, max_num_timeout=MOST_REQUEUES)
            local.update_parameters(timeout_min=self._engine.minutes, signal_delay_s=SIGNAL_SECONDS)
            return local
        try:
            slurm = submitit.SlurmExecutor(folder, max_num_timeout=MOST_REQUEUES)
        except RuntimeError as error:
            raise RunError(
                f"This machine has no SLURM commands ({error}). Run this on a login node, or see --engine manual."
            ) from error
        slurm.update_parameters(
            job_name=f"tuneoff-{name}",
            time=self._engine.minutes,
            cpus_per_task=self._cpus,
            gpus_per_node=self._gpus,
            signal_delay_s=SIGNAL_SECONDS,
            array_parallelism=self._engine.workers,
            additional_parameters={"requeue": True, **self._engine.parse_sbatch()},
        )
        return slurm

    def _read_log(self) -> str:
        for job in self._jobs:
            text: str = (job.stderr() or "").strip()
            if text:
                return "\n".join(text.splitlines()[-LOG_LINES:])
        return "(no output)"


@final
class WorkJob:
    """What a job does: `tuneoff work PLACE`, and a checkpoint when SLURM says that its time is over."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Work until nothing is open.

        Raises:
            RunError: the worker ended with an error, which is in the job's log.
        """
        self._process = start_worker(self._address)
        if code := _wait(self._process):
            raise RunError(f"the worker ended with {code}")

    def checkpoint(self) -> Any:
        """Stop the worker after its step, and return the job to put into the queue again. submitit calls this."""
        from submitit.helpers import DelayedSubmission

        if self._process:
            self._process.send_signal(signal.SIGUSR1)
            _wait(self._process)
        return DelayedSubmission(WorkJob(self._address))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process, also in a handler of a signal that came while this waits: no lock is held meanwhile."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process.wait()
