"""The process that every engine starts, in one way or another: `tuneoff work PLACE`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from tuneoff.runs.leases import Leases, Watcher
from tuneoff.runs.store import StoreError
from tuneoff.runs.work import DRIVER
from tuneoff.system.supervisor import PARENT_VARIABLE, WORKER_VARIABLE

BAD_INPUT = 2  # the exit code of a worker that cannot run any trial here
MOST_RESTARTS = 20  # of one worker that ends too early
GRACE_SECONDS = 120.0  # for workers that were told to stop to write their checkpoints


def start_worker(
    address: str, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a worker that ends with this process: its standard input closes then.

    Args:
        address: of the work; see `Work.address`.
        environment: variables in addition to those of this process.
    """
    command = [sys.executable, "-P", "-m", "tuneoff.cli", "work", address, *arguments]
    inherited = {name: value for name, value in os.environ.items() if name != WORKER_VARIABLE}
    marked = {**inherited, **(environment or {}), PARENT_VARIABLE: str(os.getpid())}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=marked)


def wait_for_checkpoints(leases: Leases, has_ended: Callable[[], bool]) -> None:
    """Wait until nobody works on a trial of a run whose trials were closed, or every worker has ended."""
    end = time.monotonic() + GRACE_SECONDS
    while _is_anyone_at_work(leases) and time.monotonic() < end and not has_ended():
        time.sleep(0.5)


def _is_anyone_at_work(leases: Leases) -> bool:
    watcher = Watcher(leases)
    try:
        attempts = watcher.list_attempts().items()
        return any(id != DRIVER and watcher.read(id, last)[0] == "held" for id, last in attempts)
    except StoreError:  # nobody can be told, or asked
        return False
