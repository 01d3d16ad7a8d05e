"""A comparison has a process of its own, and another looks after it: where the system kills the one, it is begun anew.

A process that dies takes no more than its last minute with it, then. Which trial it dies in again and again is for
`tuneoff.runner.crashes` to see; here it is only seen whether anything new came of a start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tuneoff.system.interrupts import get_handled_signals

MARK = "TUNEOFF_WORKER"  # set where this process does the work itself
IN_VAIN = 3  # starts after one another that left nothing new; a trial is passed over at the third
NEW = ("record.json", "checkpoint.safetensors", "attempts.json")


def is_worker() -> bool:
    """Whether this process is to do the work itself."""
    return MARK in os.environ


def supervise(arguments: Sequence[str], root: Path, once: Sequence[str] = ()) -> int:
    """Run tuneoff with these arguments in a worker, again where it dies; its exit code.

    Args:
        arguments: of the command line.
        once: more of them, for what the first start to get on has done: those after it go without.
        root: where the work leaves what it finished; a worker that dies without anything new is not begun for ever.
    """
    in_vain, before = 0, _find_outputs(root)
    while True:
        code, asked_to_end = _run_worker([*arguments, *once])
        if code >= 0 or asked_to_end:
            return code if code >= 0 else 128 - code
        now = _find_outputs(root)
        in_vain, once, before = (in_vain + 1, once, now) if now == before else (0, (), now)
        print(f"\nThe worker died: {_describe_signal(-code)}", end=" ", file=sys.stderr)
        if in_vain == IN_VAIN:
            print(
                f"So it did {IN_VAIN} times without getting on. What was finished is kept in {root}.", file=sys.stderr
            )
            return 128 - code
        print("Going on from what it left.", file=sys.stderr, flush=True)


def _run_worker(arguments: Sequence[str]) -> tuple[int, bool]:
    """Run one worker to its end: its exit code, negative where a signal ended it, and whether it was asked to end."""
    command = [sys.executable, "-P", "-m", "tuneoff.cli", *arguments]  # -P: nothing is imported from this folder
    asked: list[int] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, MARK: "1"}) as process:

        def hand_on(number: int, _: object) -> None:
            asked.append(number)
            process.send_signal(number)

        handlers = {number: signal.signal(number, hand_on) for number in get_handled_signals()}
        try:
            return process.wait(), bool(asked)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _find_outputs(root: Path) -> dict[Path, int]:
    """What a start may leave, with when it was written."""
    found = {}
    for path in (path for name in NEW for path in root.rglob(name)):
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:  # gone in between
            continue
    return found


def _describe_signal(number: int) -> str:
    likely = " Most often memory has run out." if number == signal.SIGKILL else ""
    return f"{signal.strsignal(number) or number}.{likely}"


def end_with_parent() -> None:
    """Stop in order when the process that looks after this one is gone: its end of the pipe closes."""
    threading.Thread(target=_stop_when_pipe_closes, daemon=True).start()


def _stop_when_pipe_closes() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
