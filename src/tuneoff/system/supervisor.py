"""Run a comparison in a worker process and restart the worker if it is killed, for example for lack of memory.

A worker that dies loses at most the work since its last checkpoint. This module only checks whether a start has
written anything new. `tuneoff.runner.crashes` finds out whether the worker always dies in the same trial.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.interrupts import handle_stop_signals
from tuneoff.system.process_start import STARTED_VARIABLE, compute_process_start

WORKER_VARIABLE = "TUNEOFF_WORKER"  # the environment variable that marks a worker process, with its supervisor's name
PARENT_VARIABLE = "TUNEOFF_PARENT"  # marks a process that ends with the one that started it
END_VARIABLE = "TUNEOFF_WORKER_END"  # the file descriptor to which a worker writes when Python ends it
MAX_STARTS_WITHOUT_PROGRESS = 3  # in a row; a trial in which the worker dies is skipped at the third start
ADDRESS_SPACE_SIGNALS = (signal.SIGTRAP, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)  # under `ulimit -v`
ATTEMPTS_FILE = "attempts.json"  # in the folder of a trial that is running; see `tuneoff.runner.crashes`
OUTPUTS = ("record.json", "checkpoint.safetensors", ATTEMPTS_FILE)
OUTLIVE_SECONDS = 1.0  # after the death of a worker: what ended it may be ending this process too


def is_worker() -> bool:
    """Return whether this process is a worker, which does the work itself."""
    return WORKER_VARIABLE in os.environ


def get_supervisor() -> str:
    """Return the name of the supervisor above this process; empty without one."""
    return os.environ.get(WORKER_VARIABLE, "")


def supervise(arguments: Sequence[str], root: Path, first_only: Sequence[str] = ()) -> int:
    """Run tuneoff in a worker, restart it when it dies, and return its exit code.

    Args:
        arguments: command-line arguments.
        root: the folder into which the worker writes. A worker that dies again and again without writing anything new
            is not restarted.
        first_only: more arguments, dropped as soon as a start has written something.
    """
    failures, before, start = 0, _find_outputs(root), compute_process_start()
    name = secrets.token_hex(4)
    while True:
        code, was_stopped = _run_worker([*arguments, *first_only], start, name)
        start = time.monotonic()
        if code >= 0:
            return code
        if was_stopped:
            return 128 - code
        time.sleep(OUTLIVE_SECONDS)
        _confirm_death(root, name)
        after = _find_outputs(root)
        if after == before:
            failures += 1
        else:
            failures, first_only, before = 0, (), after
        print(f"\nThe worker process died: {_describe_signal(-code)}", end=" ", file=sys.stderr)
        if failures == MAX_STARTS_WITHOUT_PROGRESS:
            print(
                f"It died {failures} times in a row without progress. Finished work is kept in {root}.", file=sys.stderr
            )
            return 128 - code
        print("Restarting it from its last checkpoint.", file=sys.stderr, flush=True)


def _run_worker(arguments: Sequence[str], start: float, name: str) -> tuple[int, bool]:
    """Run one worker. Return its exit code, negative if a signal ended it, and whether this process received one.

    Signals are passed on to the worker. A library that ends the process itself, as OpenBLAS does without memory,
    counts as one that aborts it.

    Args:
        start: what the worker counts its time from, in seconds of the monotonic clock.
        name: of this supervisor, which no other one has.
    """
    command = [sys.executable, "-P", "-m", "tuneoff.cli", *arguments]  # -P: import nothing from the current folder
    received: list[int] = []
    end, its_end = os.pipe()
    environment = {**os.environ, WORKER_VARIABLE: name, STARTED_VARIABLE: str(start), END_VARIABLE: str(its_end)}
    with (
        os.fdopen(end, "rb", buffering=0) as end_of_worker,
        subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=[its_end]) as process,
    ):
        os.close(its_end)

        def pass_on(number: int, _: object) -> None:
            received.append(number)
            process.send_signal(number)

        with handle_stop_signals(pass_on):
            code = process.wait()
        os.set_blocking(end, False)
        is_ended_by_python = bool(end_of_worker.read(1))
        return code if code < 0 or is_ended_by_python else -signal.SIGABRT, bool(received)


def _find_outputs(root: Path) -> dict[Path, int]:
    """Return the time of writing, in ns, of each file that shows progress."""
    times = {}
    for path in _list_files(root, OUTPUTS):
        try:
            times[path] = path.stat().st_mtime_ns
        except OSError:  # removed in the meantime
            continue
    return times


def _list_files(root: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield the files with these names, of folders that other processes may remove in the meantime."""
    for folder, _, files in os.walk(root):
        yield from (Path(folder, file) for file in files if file in names)


def _confirm_death(root: Path, name: str) -> None:
    """Note in the trial that was running that its process alone died, so that the trial may be the cause.

    Args:
        name: of this supervisor. The trials that run under others are left alone.
    """
    for file in _list_files(root, (ATTEMPTS_FILE,)):
        with contextlib.suppress(OSError, ValueError):
            attempt = json.loads(file.read_bytes())
            if attempt.get("supervisor", name) == name:
                write_atomically(file, json.dumps({**attempt, "died": True}))


def _describe_signal(number: int) -> str:
    is_limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    ends_without_memory = {signal.SIGKILL, *(ADDRESS_SPACE_SIGNALS if is_limited else ())}
    likely_cause = " This usually means that memory ran out." if number in ends_without_memory else ""
    return f"{signal.strsignal(number) or number}.{likely_cause}"


def note_end() -> None:
    """Have Python note that it ended this worker. What ends the process in another way leaves no note.

    Processes that the worker starts do not have the file, so they must not have its number either.
    """
    if number := os.environ.pop(END_VARIABLE, None):
        atexit.register(_write_note, int(number))


def _write_note(number: int) -> None:
    with contextlib.suppress(OSError):
        os.write(number, b"e")


def has_parent() -> bool:
    """Return whether this process is to end with the one that started it."""
    return is_worker() or PARENT_VARIABLE in os.environ


def stop_with_parent() -> None:
    """Stop this process when the one that started it has ended: its end of the pipe on standard input closes then."""
    threading.Thread(target=_stop_when_input_closes, daemon=True).start()


def _stop_when_input_closes() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
