"""A ledger of how often a test split was used, over all runs on a machine.

A test split is for reporting. Each further run that is compared on it, and each choice made after looking at it, makes
the best score a little too good (Dwork et al. 2015, "The reusable holdout", Science 349). A run directory cannot know
about the others, so the cache has a ledger for each test split, and a run directory keeps its own lines of it.

CACHE/test-use/FINGERPRINT.jsonl     one line for each trial scored on the split, and for each state of a run compared
CACHE/test-use/FINGERPRINT.examples  a hash of each example, by which a split is known that grew out of another
RUN/test-use.jsonl                   those of this run; the first to write it gives the run its id

A line has ids and a date, no text and no path. Lines are appended under a lock, so processes can share the file, and a
line that a crash left half written is skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tuneoff.config.base import Options
from tuneoff.records.record import Prediction, Record
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.cache import get_cache_folder
from tuneoff.system.environment import hide_user

FOLDER, RUN_FILE = "test-use", "test-use.jsonl"
SHARED = 0.5  # of the examples of the smaller of two splits, from which on they are taken for parts of one
_LOG = logging.getLogger(__name__)
_NO_WORD = re.compile(r"\W+")


class Use(Options):
    """One line of the ledger."""

    kind: Literal["trial", "look"]  # a look: the trials of a run so far were compared
    id: str  # of the trial, or of the set of trials that were compared
    run: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class SplitUse:
    """How often a test split was used on this machine, this run included."""

    fingerprint: str  # of the texts, whatever their order and their tokens; 16 hex digits
    trials: int  # that were scored on it
    runs: int
    looks: int  # states of runs whose trials were compared
    since: datetime
    related_runs: int = 0  # other runs, on splits that share most of their examples with this one
    problem: str = ""  # why the counts may be too low


def note_use(run: Path, records: Iterable[Record], looks: Iterable[Sequence[Record]] = ()) -> SplitUse | None:
    """Note that the trials of a run were scored on their test split and compared, and count all uses of the split.

    Noting the same trials again changes nothing. A ledger that cannot be read or written never raises.

    Args:
        run: the run directory.
        records: of the run.
        looks: the trials that were compared at each earlier look, if the comparison runs until it is decided.

    Returns:
        The counts; None if no trial has been scored on the test split.
    """
    scored = [r for r in records if r.trial.stage == "confirm" and r.status == "done" and r.predictions]
    if not scored:
        return None
    examples = hash_examples(scored[0].predictions)
    fingerprint = _hash(" ".join(examples))[:16]
    trials = sorted(record.trial.id for record in scored)
    compared = [sorted(r.trial.id for r in look if r.status == "done" and r.predictions) for look in (*looks, scored)]
    look_ids = dict.fromkeys(_hash(" ".join(of_look))[:12] for of_look in compared)
    now = datetime.now(UTC).replace(microsecond=0)

    def list_new(known: Sequence[Use]) -> list[Use]:
        run_id = known[0].run if known else secrets.token_hex(6)
        uses = [Use(kind="trial", id=trial, run=run_id, at=now) for trial in trials]
        uses += [Use(kind="look", id=look, run=run_id, at=now) for look in look_ids]
        return _select_new(uses, known)

    own = _append_to_run(run / RUN_FILE, list_new)
    ledger = get_cache_folder() / FOLDER / f"{fingerprint}.jsonl"
    problem, related_runs = "", 0
    try:
        uses, unreadable = _append(ledger, lambda known: _select_new(own, known))
        related_runs = len(_find_related_runs(ledger, examples) - {use.run for use in uses})
        if unreadable:
            problem = f"{unreadable} line{'s' if unreadable > 1 else ''} of {hide_user(ledger)} cannot be read"
    except OSError as error:
        uses = own
        problem = f"{hide_user(ledger)} cannot be used ({error.strerror or error}), so other runs are unknown"
    if problem:
        _LOG.warning("The use of the test split may be counted too low: %s.", problem)
    return SplitUse(
        fingerprint=fingerprint,
        trials=len({use.id for use in uses if use.kind == "trial"}),
        runs=len({use.run for use in uses}),
        looks=len({(use.run, use.id) for use in uses if use.kind == "look"}),
        since=min(use.at for use in uses),
        related_runs=related_runs,
        problem=problem,
    )


def compute_split_fingerprint(predictions: Sequence[Prediction]) -> str:
    """Hash the examples of a test split, whatever their order."""
    return _hash(" ".join(hash_examples(predictions)))[:16]


def hash_examples(predictions: Sequence[Prediction]) -> list[str]:
    """Hash each example, sorted: its words alone, so that another cleaning gives the same hash."""
    return sorted(_hash(f"{_get_words(p.source)}\n{_get_words(p.reference)}") for p in predictions)


def _find_related_runs(ledger: Path, examples: Sequence[str]) -> set[str]:
    """Return the runs on other splits that share most of their examples with this one, and note its examples.

    Raises:
        OSError: a file cannot be read or written.
    """
    own, own_file = set(examples), ledger.with_suffix(".examples")
    if not own_file.exists():
        write_atomically(own_file, "".join(f"{example}\n" for example in sorted(own)).encode())
    runs: set[str] = set()
    for file in ledger.parent.glob("*.examples"):
        others = set(file.read_text(encoding="ascii", errors="replace").split())
        if file != own_file and len(own & others) > SHARED * min(len(own), len(others)):
            with contextlib.suppress(FileNotFoundError):
                runs |= {use.run for use in _parse(file.with_suffix(".jsonl").read_bytes())[0]}
    return runs


def _append_to_run(file: Path, list_new: Callable[[Sequence[Use]], list[Use]]) -> list[Use]:
    """Return the uses of a run, also where its directory cannot be written; then its path stands for its id."""
    try:
        return _append(file, list_new)[0]
    except OSError:
        known: list[Use] = []
        with contextlib.suppress(OSError):
            known, _ = _parse(file.read_bytes())
        path_id = known[0].run if known else _hash(str(file.resolve()))[:12]
        return [*known, *(use.model_copy(update={"run": path_id}) for use in list_new(known))]


def _append(file: Path, list_new: Callable[[Sequence[Use]], list[Use]]) -> tuple[list[Use], int]:
    """Append under the file's lock, so that no two processes give a run its id or write into one line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        content = stream.read()
        known, unreadable = _parse(content)
        new = list_new(known)
        if new:
            line_end = b"" if not content or content.endswith(b"\n") else b"\n"
            stream.write(line_end + b"".join(use.model_dump_json().encode() + b"\n" for use in new))
            stream.flush()
            os.fsync(stream.fileno())
        return [*known, *new], unreadable


def count_unreadable(content: bytes) -> int:
    """Return how many lines of a ledger are not uses."""
    return _parse(content)[1]


def _parse(content: bytes) -> tuple[list[Use], int]:
    """Return the uses, and how many lines are not uses."""
    uses, unreadable = [], 0
    for line in content.splitlines():
        try:
            uses.append(Use.model_validate_json(line))
        except ValidationError:
            unreadable += 1
    return uses, unreadable


def _select_new(uses: Iterable[Use], known: Iterable[Use]) -> list[Use]:
    noted = {(use.kind, use.id, use.run) for use in known}
    return [use for use in uses if (use.kind, use.id, use.run) not in noted]


def _get_words(text: str) -> str:
    return _NO_WORD.sub(" ", text.casefold()).strip()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
