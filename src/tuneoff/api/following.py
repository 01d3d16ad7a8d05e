"""Have tracking tools told about a comparison while it runs, by a process beside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tuneoff.console.progress import print_line
from tuneoff.recipe.recipe import Recipe
from tuneoff.system.supervisor import WORKER_VARIABLE

WAIT_SECONDS = 120.0  # at the end of a comparison, for tools that are still being told


@contextlib.contextmanager
def tracking(recipe: Recipe, run: Path) -> Iterator[None]:
    """Have the tools of a recipe told of every trial that ends in the block, and of the verdict after it.

    In a process of its own, a tool can neither fail a training nor count as its memory. That process ends when its
    standard input closes, which it also does if this process is killed.
    """
    if not recipe.track:
        yield
        return
    tools = [part for name in recipe.track for part in ("--to", name)]
    command = [sys.executable, "-P", "-m", "tuneoff.cli", "track", str(run), *tools, "--follow"]
    environment = {name: value for name, value in os.environ.items() if name != WORKER_VARIABLE}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        yield
    finally:
        _end(process, run, recipe.track)


def _end(process: subprocess.Popen[bytes], run: Path, names: Sequence[str]) -> None:
    """Let the process tell what is left, for a limited time."""
    assert process.stdin is not None, "it is a pipe"
    process.stdin.close()
    try:
        process.wait(WAIT_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()
        process.wait()
        again = " ".join(f"--to {name}" for name in names)
        print_line(f"Not everything was tracked. To tell the rest: tuneoff track {run} {again}")
