"""When the work of a command began: at the start of its first process, imports included."""

from __future__ import annotations

import os
import time

STARTED_VARIABLE = "TUNEOFF_STARTED"  # seconds of the monotonic clock, which all processes of a machine share


def compute_process_start() -> float:
    """Return when this process began, in seconds of the monotonic clock."""
    import psutil

    return time.monotonic() - max(0.0, time.time() - float(psutil.Process().create_time()))


def take_command_start() -> float:
    """Return when the command began whose worker this process is, and now everywhere else, such as in a notebook.

    It is given once: what is counted from it must not be counted again.
    """
    started = os.environ.pop(STARTED_VARIABLE, None)
    return float(started) if started else time.monotonic()
