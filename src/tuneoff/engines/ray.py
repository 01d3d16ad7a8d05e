"""Workers as tasks of Ray (an extra: `tuneoff[ray]`), on this machine or on a cluster.

Ray starts `tuneoff work PLACE` where there is room, and says which of these processes ended. It holds no state of the
run: a worker whose node is lost is fenced by its lease, and another one goes on from the checkpoint in the folder.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, final

from pydantic import Field, field_validator

from tuneoff.engines.engine import Engine
from tuneoff.engines.ray_cluster import FOUND, LOCAL, connect, require_like_nodes, require_room
from tuneoff.engines.worker_process import BAD_INPUT, MOST_RESTARTS, start_worker, wait_for_checkpoints
from tuneoff.errors import RunError
from tuneoff.runs.work import Work
from tuneoff.system.capacity import count_cores

CHECK_SECONDS = 2.0  # between two looks at which tasks have ended
POLL_SECONDS = 0.5  # of a task, between two looks at its worker
MOST_LOSSES = 1000  # of one worker's nodes: a machine of the cheap kind goes again and again
# Ray reads these when it is imported. By default it notices only after minutes that a link was cut in silence, and
# leaves to its tasks (niceness 15) what others do not use of a busy machine.
SETTINGS = {
    "RAY_worker_niceness": "0",
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
    "RAY_USAGE_STATS_ENABLED": "0",
}
INSTALL = "pip install 'tuneoff[ray]'"


@final
class RayEngine(Engine):
    """Starts workers as tasks of Ray."""

    name: ClassVar[str] = "ray"

    address: str = LOCAL
    """`local` starts a Ray for this run on this machine, `auto` finds the cluster that this machine is part of, and
    HOST:PORT is the address of a cluster's head."""
    cpus: int | None = Field(None, ge=1)
    """Cores of a worker, and on a CPU the threads of a trial; None: an equal share of the cores of this machine."""
    gpus: float | None = Field(None, gt=0, le=1)
    """GPUs of a worker. With 0.5, two of them share one, and slow each other down. None: one for each device of a trial
    where the run is on GPUs."""
    resources: Mapping[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """What else a node must have, by Ray's names, such as `{a100: 1}` for nodes that were started with that."""
    autoscaling: bool = False
    """Whether the cluster adds nodes for workers that have no room yet."""

    @field_validator("address")
    @classmethod
    def _require_address(cls, address: str) -> str:
        if not (address in {LOCAL, FOUND} or re.fullmatch(r"[^/\s]+:\d+", address)):
            raise ValueError(
                f"{address!r} is not local, auto, or HOST:PORT of a cluster's head. ray:// is for programs outside "
                "of a cluster: run the comparison on one of its nodes instead, with address=auto"
            )
        return address

    def choose_threads(self) -> int:
        return self.cpus or max(1, count_cores() // self.workers)

    def build(self, *, on_gpu: bool, threads: int | None, devices: int = 1) -> RayLauncher:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import ray  # noqa: F401
        except ImportError as error:
            raise RunError(f"--engine ray needs Ray: {INSTALL} ({error})") from None
        if self.gpus and not on_gpu:
            raise RunError(
                f"gpus={self.gpus:g} was asked for, but the trials are trained on the CPU here, and all machines have "
                "to be alike. Run the comparison on a node that has a GPU, or leave gpus out."
            )
        if self.gpus and self.gpus < 1 and devices > 1:
            raise RunError(
                f"gpus={self.gpus:g} is a share of one GPU, but training.devices is {devices}: each trial has that "
                "many GPUs of its own. Leave gpus out."
            )
        needs = {"CPU": max(self.choose_threads(), threads or 1), "GPU": (self.gpus or 1) * devices if on_gpu else 0}
        return RayLauncher(self, {**self.resources, **needs})


@final
@dataclass
class Slot:
    """One of the workers: the task in which it runs, and how often it was started again."""

    task: Any  # an ObjectRef; Ray's types are not read here
    restarts: int = 0  # after the worker ended itself
    losses: int = 0  # of its node or its process
    end: str | None = None  # why it is not started again


@final
class RayLauncher:
    """Submits a task for each worker, and another one for each that was lost."""

    def __init__(self, engine: RayEngine, needs: Mapping[str, float]) -> None:
        self._engine, self._needs = engine, {name: amount for name, amount in needs.items() if amount}
        self._slots: list[Slot] = []
        self._work: Work | None = None
        self._address = ""
        self._checked_at = time.monotonic()

    def start(self, work: Work) -> None:
        import ray

        self._work, self._address = work, work.address
        connect(self._engine.address)
        try:
            nodes = [node for node in ray.nodes() if node["Alive"]]
            if not self._engine.autoscaling:
                require_room([node["Resources"] for node in nodes], self._needs, self._engine.workers)
            if self._engine.address != LOCAL:
                require_like_nodes(nodes, self._needs, work.shared_folder and work.shared_folder.resolve())
            self._slots = [Slot(self._submit()) for _ in range(self._engine.workers)]
        except BaseException:
            ray.shutdown()
            raise

    def check(self) -> None:
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = time.monotonic()
        slots = {slot.task: slot for slot in self._slots if slot.end is None}
        for task in _list_ended(list(slots)):
            self._replace(slots[task])
        if all(slot.end for slot in self._slots):
            ends = ", ".join(str(slot.end) for slot in self._slots)
            raise RunError(
                f"No worker of {self._address} runs any more; they ended with {ends} and "
                "said why above. Finished trials are kept, and the same command continues."
            )

    def stop(self) -> None:
        import ray

        tasks = [slot.task for slot in self._slots]
        if self._work:
            wait_for_checkpoints(self._work.leases, lambda: len(_list_ended(tasks)) == len(tasks))
        ray.shutdown()  # ends the tasks, and each worker with its task

    def _replace(self, slot: Slot) -> None:
        """Submit another task for a worker that ended too early, if that may help."""
        import ray

        try:
            end, is_lost = f"exit code {(code := ray.get(slot.task))}", False
        except ray.exceptions.RayError as error:
            code, end, is_lost = None, type(error).__name__, not isinstance(error, ray.exceptions.RayTaskError)
        slot.losses += is_lost
        slot.restarts += not is_lost
        if code == BAD_INPUT or slot.restarts > MOST_RESTARTS or slot.losses > MOST_LOSSES:
            slot.end = end
        else:
            slot.task = self._submit()

    def _submit(self) -> Any:
        import ray

        return ray.remote(run_worker).options(**self._get_options()).remote(self._address)

    def _get_options(self) -> dict[str, Any]:
        named = {"CPU": "num_cpus", "GPU": "num_gpus"}
        others = {name: amount for name, amount in self._needs.items() if name not in named}
        needs = {option: self._needs.get(name, 0) for name, option in named.items()}
        # this object submits again what was lost, and so counts it
        return {**needs, "resources": others, "max_retries": 0, "scheduling_strategy": "SPREAD"}


def run_worker(address: str) -> int:
    """Run a worker, and return its exit code. Ray calls this on a node."""
    with start_worker(address, ["--quiet"]) as process:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)  # where Ray may interrupt it
        return process.returncode


def _list_ended(tasks: Sequence[Any]) -> list[Any]:
    import ray

    return ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[0] if tasks else []
