"""A cluster of Ray as a comparison finds it: whether it answers, has room for the workers, and has like nodes."""

from __future__ import annotations

import platform
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuneoff.errors import RunError
from tuneoff.runs.layout import WORK
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.capacity import count_cores
from tuneoff.system.environment import get_numeric_versions

LOCAL, FOUND = "local", "auto"  # a Ray of its own on this machine; the cluster that this machine is part of
CONNECT_SECONDS, ANSWER_SECONDS = 4.0, 14.0  # for a connection to an address, and for an answer of Ray's
NODE_SECONDS = 60.0  # for a node to say what it has
STORE_BYTES = 100 * 2**20  # of Ray's memory for objects on this machine, of which workers use none


def connect(address: str) -> None:
    """Start a Ray on this machine, or become a driver of a cluster.

    Raises:
        RunError: there is no answer, or not from a Ray that fits.
    """
    import ray

    if address != LOCAL:
        require_answer(address)
    handler = signal.getsignal(signal.SIGTERM)
    own = {"num_cpus": count_cores(), "include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(address, logging_level="ERROR", **(own if address == LOCAL else {}))
    except Exception as error:  # Ray raises its own, those of Python, and plain ones where a start takes too long
        raise RunError(f"Ray at {address} cannot be used: {error}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's would end the comparison without a checkpoint


def require_answer(address: str) -> None:
    """Check in less than 20 seconds that a cluster answers. What Ray itself does takes a minute.

    Raises:
        RunError: it does not. The message says what was tried.
    """
    tried, start = [], time.monotonic()
    try:
        if address != FOUND:
            host, _, port = address.rpartition(":")
            tried.append(f"a connection to {host}, port {port}")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        tried.append("`ray health-check`")
        command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "health-check"]
        command += [] if address == FOUND else ["--address", address]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
        reason = "" if asked.returncode == 0 else asked.stderr.strip().rpartition("\n")[2] or "it is not healthy"
    except (OSError, OverflowError) as error:
        reason = str(error)
    except subprocess.TimeoutExpired:
        reason = "no answer"
    if reason:
        raise RunError(
            f"No cluster of Ray answers at {address}. Tried {' and '.join(tried)} for {time.monotonic() - start:.0f} "
            f"seconds: {reason}. On a node of the cluster, `ray status` says whether it runs; `ray start --head` "
            "starts one, and address=local needs none."
        )


def count_room(nodes: Iterable[Mapping[str, float]], needs: Mapping[str, float]) -> int:
    """Return how many workers have room on nodes with these resources at the same time. A share of a GPU is of one,
    and a worker has all its GPUs on one node."""
    room = 0
    for node in nodes:
        fitting = [int(node.get(name, 0) / amount + 1e-9) for name, amount in needs.items() if name != "GPU"]
        if gpus := needs.get("GPU"):
            has = int(node.get("GPU", 0))
            fitting.append(has * int(1 / gpus + 1e-9) if gpus < 1 else has // int(gpus))
        room += min(fitting)
    return room


def require_room(nodes: Sequence[Mapping[str, float]], needs: Mapping[str, float], workers: int) -> None:
    """Check that all workers have room at the same time.

    Raises:
        RunError: they have not. The message says how many have.
    """
    room = count_room(nodes, needs)
    if room >= workers:
        return
    wanted = _name_resources(needs)
    cure = f"Write --workers {room}" if room else "Write less with --engine-option, such as cpus=1"
    raise RunError(
        f"Ray has room for {room} of {workers} workers, each with {wanted}. Its nodes have "
        f"{'; '.join(_name_resources({name: node.get(name, 0) for name in needs}) for node in nodes) or 'nothing'}. "
        f"{cure}, or autoscaling=true if the cluster adds nodes by itself."
    )


def _name_resources(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in amounts.items())


def require_like_nodes(nodes: Sequence[Mapping[str, Any]], needs: Mapping[str, float], run: Path | None) -> None:
    """Check that every node for workers has the versions of this machine, and sees the run directory.

    Args:
        run: None if the work is shared through a URL instead.

    Raises:
        RunError: one does not. Each is named.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    token = secrets.token_hex(8)
    probe = None if run is None else run / WORK / f"probe-{secrets.token_hex(4)}"
    if probe:
        write_atomically(probe, token)
    try:
        asked = {}
        for node in nodes:
            if count_room([node["Resources"]], needs):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = ray.remote(inspect_node).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}:{node['NodeManagerPort']})"
                asked[name] = task.remote(probe)
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=NODE_SECONDS)
        seen = {name: _read_answer(answer) for name, answer in asked.items()}
    finally:
        if probe:
            probe.unlink(missing_ok=True)
    own = inspect_node(None) | {"probe": token if probe else None}
    if faults := list(find_faults(seen, own, run)):
        raise RunError("Nodes of this cluster cannot work on the run:\n" + "\n".join(faults))


def inspect_node(probe: Path | None) -> dict[str, str | None]:
    """Return the versions of this machine and the content of a file, None if it is not there."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2]), **get_numeric_versions()}
    try:
        return {**versions, "probe": probe.read_text() if probe else None}
    except OSError:
        return {**versions, "probe": None}


def find_faults(
    seen: Mapping[str, Mapping[str, str | None] | str], own: Mapping[str, str | None], run: Path | None
) -> Iterable[str]:
    """Yield a line for each node that cannot work on a run.

    Args:
        seen: what `inspect_node` returned by the name of the node, or why it did not.
        own: what it should have returned.
    """
    for name, there in seen.items():
        if isinstance(there, str):
            yield f"{name} cannot run tuneoff: {there}. It needs the same installation as this machine."
            continue
        if there["probe"] != own["probe"]:
            yield f"{name} does not see {run}: the folder must be shared under this path. Name a shared one with --run."
        versions = [
            f"{package} {there.get(package) or 'none'} (here {version or 'none'})"
            for package, version in own.items()
            if package != "probe" and there.get(package) != version
        ]
        if versions:
            yield f"{name} has other versions: {', '.join(versions)}. Install those of this machine there."


def _read_answer(answer: Any) -> Mapping[str, str | None] | str:
    """Return what a node answered, or why it did not."""
    import ray

    try:
        answered: Mapping[str, str | None] = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"it did not answer within {NODE_SECONDS:.0f} seconds"
    except ray.exceptions.RayError as error:
        return f"{type(error).__name__}, {str(error).strip().rpartition(chr(10))[2]}"
    return answered
