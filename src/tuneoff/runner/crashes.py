"""How often a process died in a trial without getting further: once may be chance, twice is the trial.

A file in the trial's folder says that the trial runs. Who ends in order removes it, so that one that is there was left
by a process that was killed: by the system for its memory, by a fault in a library, by a lost machine.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs import write_atomically

ATTEMPTS_FILE = "attempts.json"
MAX_DEATHS = 2  # deaths in one place; at the next start the trial is passed over


class Attempt(Options):
    """A trial that runs."""

    steps: int  # of the checkpoint that it goes on from; 0 without one
    deaths: int = 0  # of processes that went on from there before


def count_deaths(folder: Path, steps: int) -> int:
    """How many processes died in the trial after they had begun at this step; one that got further counts anew."""
    try:
        last = Attempt.model_validate_json((folder / ATTEMPTS_FILE).read_bytes())
    except (OSError, ValidationError):
        return 0
    return last.deaths + 1 if last.steps == steps else 0


@contextlib.contextmanager
def mark_running(folder: Path, attempt: Attempt) -> Iterator[None]:
    """Say that the trial runs, until the block ends in whatever order but by the death of the process."""
    write_atomically(folder / ATTEMPTS_FILE, attempt.model_dump_json())
    try:
        yield
    finally:
        (folder / ATTEMPTS_FILE).unlink(missing_ok=True)


def make_skipped_record(trial: Trial, steps: int) -> Record:
    """The record of a trial in which too many processes died."""
    return Record(
        trial=trial,
        status="failed",
        reason=f"The process died twice in this trial, both times on the way from step {steps}. It is passed over; "
        "most often memory has run out: a smaller training.batch_size with more training.accumulation, or a smaller "
        "data.max_tokens, needs less. --retry tries it again.",
    )
