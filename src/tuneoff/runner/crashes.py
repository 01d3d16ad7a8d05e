"""Count the processes that died in a trial at the same step. One death may be chance; after two the trial is skipped.

A file in the trial's folder marks the trial as running. A process that ends normally removes it, so a file that is
found at the start was left by a process that was killed: out of memory, by a crash in a library, with its machine.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.system.atomic_write import write_atomically

ATTEMPTS_FILE = "attempts.json"
MAX_DEATHS = 2  # at the same step; at the next start the trial is skipped


class Attempt(Options):
    """One process running a trial."""

    steps: int  # of the checkpoint that it resumes from; 0 without one
    deaths: int = 0  # of earlier processes that resumed from the same step


def count_deaths(folder: Path, steps: int) -> int:
    """Return how many processes started the trial at this step and died. Progress resets the count."""
    try:
        last = Attempt.model_validate_json((folder / ATTEMPTS_FILE).read_bytes())
    except (OSError, ValidationError):
        return 0
    return last.deaths + 1 if last.steps == steps else 0


@contextlib.contextmanager
def mark_running(folder: Path, attempt: Attempt) -> Iterator[None]:
    """Mark the trial as running until the block ends, also by an exception. The mark stays if the process dies."""
    write_atomically(folder / ATTEMPTS_FILE, attempt.model_dump_json())
    try:
        yield
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
