"""Count the processes that died in a trial at the same place. One death may be chance; after two the trial is skipped.

A file in the trial's folder marks the trial as running. A process that ends normally removes it, so a file that is
found at the start was left by a process that was killed. If a supervisor was above it, the death counts only if the
supervisor outlived it and said so: where power failed or a scheduler ended the job, everything died, and the trial is
not to blame.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runtime.progress import Progress
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.supervisor import ATTEMPTS_FILE, get_supervisor, is_worker

MAX_DEATHS = 2  # at the same place; at the next start the trial is skipped
MAX_DEATHS_IN_ALL = 6  # since the last checkpoint, wherever they were
MARK_INTERVAL_SECONDS = 5.0  # between two notes of how far a process has come


class Attempt(Options):
    """One process running a trial."""

    steps: int  # of the checkpoint that it resumes from; 0 without one
    deaths: int = 0  # of earlier processes that resumed from the same step and came as far as `last_mark`
    deaths_in_all: int = 0  # of all that resumed from the same step
    last_mark: str = ""  # how far the process before it came
    mark: str = ""  # how far it has come since: the phase, the epoch, and tenths of them
    supervised: bool = False
    supervisor: str = ""  # its name
    died: bool = False  # written by the supervisor

    @property
    def is_hopeless(self) -> bool:
        """Whether so many processes died that the trial is skipped."""
        return self.deaths >= MAX_DEATHS or self.deaths_in_all >= MAX_DEATHS_IN_ALL


def begin_attempt(folder: Path, steps: int) -> Attempt:
    """Return the attempt to run a trial from a step, with the deaths of those before it. Progress resets the counts."""
    try:
        last = Attempt.model_validate_json((folder / ATTEMPTS_FILE).read_bytes())
    except (OSError, ValidationError):
        return Attempt(steps=steps, supervised=is_worker(), supervisor=get_supervisor())
    if last.steps != steps:
        return Attempt(steps=steps, supervised=is_worker(), supervisor=get_supervisor())
    if last.supervised and not last.died:
        return last.model_copy(update={"mark": "", "supervised": is_worker(), "supervisor": get_supervisor()})
    is_same_place = last.deaths == 0 or last.mark == last.last_mark
    return Attempt(
        steps=steps,
        deaths=last.deaths + 1 if is_same_place else 1,
        deaths_in_all=max(last.deaths, last.deaths_in_all) + 1,
        last_mark=last.mark,
        supervised=is_worker(),
        supervisor=get_supervisor(),
    )


@contextlib.contextmanager
def mark_running(folder: Path, attempt: Attempt) -> Iterator[Callable[[Progress], None]]:
    """Mark the trial as running until the block ends, also by an exception. The mark stays if the process dies.

    Yields:
        A function that notes how far the trial has come.
    """
    write_atomically(folder / ATTEMPTS_FILE, attempt.model_dump_json())
    noted, noted_at = "", time.monotonic()

    def note(progress: Progress) -> None:
        nonlocal noted, noted_at
        mark = f"{progress.phase} {progress.epoch} {10 * progress.done // max(1, progress.of)}"
        if mark != noted and time.monotonic() - noted_at >= MARK_INTERVAL_SECONDS:
            write_atomically(folder / ATTEMPTS_FILE, attempt.model_copy(update={"mark": mark}).model_dump_json())
            noted, noted_at = mark, time.monotonic()

    try:
        yield note
    finally:
        (folder / ATTEMPTS_FILE).unlink(missing_ok=True)


def make_skipped_record(trial: Trial, steps: int) -> Record:
    """Return the record of a trial that is skipped because too many processes died in it."""
    return Record(
        trial=trial,
        status="failed",
        reason=f"The process died twice in this trial, both times after starting at step {steps}, so the trial is "
        "skipped. The usual cause is that memory ran out: a smaller training.batch_size with more "
        "training.accumulation, or a smaller data.max_tokens, needs less. --retry runs the trial again.",
    )
