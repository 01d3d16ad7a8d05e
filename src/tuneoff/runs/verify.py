"""Read every file of a run directory, and list what is missing, foreign, damaged or newer. Nothing is changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tuneoff.errors import RunError
from tuneoff.runs import decisions, judgements, live, measured, split_use, votes
from tuneoff.runs.index import is_damaged
from tuneoff.runs.integrity import find_foreign_files, find_unusable, require_self_contained
from tuneoff.runs.layout import (
    ADAPTER,
    BENCHMARKS,
    CURVE,
    DATA,
    ENVIRONMENT,
    INDEX,
    LOCK,
    MISFITS,
    PREDICTIONS,
    RECIPE,
    RECORD,
    REPORT,
    SET_ASIDE,
    SHARE,
    TRACKERS,
    TRIALS,
    WORK,
    is_trial_id,
)
from tuneoff.runs.reading import (
    NewerRecordError,
    read_data,
    read_environment,
    read_misfits,
    read_recipe,
    read_records,
)
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files, read_checksums

OF_RUN = frozenset({RECIPE, ENVIRONMENT, DATA})  # each with a checksum
BESIDE = frozenset(
    {CHECKSUMS, MISFITS, LOCK, TRIALS, SET_ASIDE, REPORT, split_use.RUN_FILE, judgements.FILE, votes.FILE}
    | {TRACKERS, SHARE, WORK, INDEX, decisions.FILE, live.FOLDER, measured.FOLDER}
)
OF_TRIAL = frozenset({RECORD, CURVE, PREDICTIONS, BENCHMARKS, CHECKSUMS, ADAPTER})
UNFINISHED = frozenset({"attempts.json", "checkpoint.safetensors", "checkpoint.bad"})  # of a trial that may continue

Kind = Literal["missing", "foreign", "damaged", "newer"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with a file of a run."""

    kind: Kind
    file: Path
    reason: str


def find_problems(path: Path, also_known: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Yield the problems of a run directory, those of its own files first.

    A report and the trials that were set aside are not read: the one can be written again, and the others are not used.

    Args:
        also_known: names of files in the directory that the caller checks.
    """
    try:
        require_self_contained(path)
    except RunError as error:
        yield Problem(kind="foreign", file=path, reason=str(error))
        return
    yield from _check_run_files(path, BESIDE | OF_RUN | also_known)
    records, unreadable = read_records(path, check_all=True)
    unusable = find_unusable(records, unreadable)
    for folder in sorted((path / TRIALS).glob("*")):
        if not (folder.is_dir() and is_trial_id(folder.name)):
            yield Problem(kind="foreign", file=folder, reason="it is not the folder of a trial")
        elif (folder / RECORD).exists():
            is_newer = isinstance(unreadable.get(folder.name), NewerRecordError)
            yield from _check_trial(folder, unusable.get(folder.name), is_newer=is_newer)
        elif (folder / ADAPTER).exists() and not any((folder / name).exists() for name in UNFINISHED):
            yield Problem(kind="missing", file=folder / RECORD, reason="the trial has weights and no record")


def _check_run_files(path: Path, known: frozenset[str]) -> Iterator[Problem]:
    yield from _check_checksums(path, OF_RUN)
    for name, read in ((RECIPE, read_recipe), (ENVIRONMENT, read_environment), (DATA, read_data)):
        with contextlib.suppress(FileNotFoundError):
            try:
                read(path)
            except RunError as error:
                if (path / name).exists() and name not in find_damaged_files(path):
                    yield Problem(kind="newer", file=path / name, reason=str(error))
    try:
        read_misfits(path)
    except RunError as error:
        yield Problem(kind="damaged", file=path / MISFITS, reason=str(error))
    try:
        votes.read_votes(path / votes.FILE)
    except RunError as error:
        yield Problem(kind="damaged", file=path / votes.FILE, reason=str(error))
    if (path / measured.FOLDER).exists():
        yield from _check_checksums(path / measured.FOLDER, frozenset({measured.FILE}))
    if is_damaged(path):
        yield Problem(kind="damaged", file=path / INDEX, reason="it is not read, and can be removed")
    for file, count in _count_broken_lines(path):
        yield Problem(kind="damaged", file=file, reason=f"{count} of its lines cannot be read")
    for entry in sorted(path.iterdir()):
        if entry.name not in known:
            yield Problem(kind="foreign", file=entry, reason="no version of tuneoff writes it there")


def _count_broken_lines(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files whose lines stand for themselves, with how many cannot be read."""
    with contextlib.suppress(FileNotFoundError):
        content = (path / split_use.RUN_FILE).read_bytes()
        if count := split_use.count_unreadable(content):
            yield path / split_use.RUN_FILE, count
    with contextlib.suppress(FileNotFoundError):
        lines = (path / judgements.FILE).read_bytes().splitlines()
        if count := len(lines) - judgements.count_readable(lines):
            yield path / judgements.FILE, count
    with contextlib.suppress(FileNotFoundError):
        lines = (path / decisions.FILE).read_bytes().splitlines()
        if count := len(lines) - len(decisions.read_decisions(path)):
            yield path / decisions.FILE, count


def _check_checksums(folder: Path, required: frozenset[str]) -> Iterator[Problem]:
    """Yield the files of a folder that are missing or damaged."""
    try:
        checksums = read_checksums(folder)
    except ValueError as error:
        yield Problem(kind="damaged", file=folder / CHECKSUMS, reason=str(error))
        return
    if checksums is None:
        yield Problem(kind="missing", file=folder / CHECKSUMS, reason="so the files beside it cannot be checked")
    for name in sorted(required - (checksums or {}).keys() if checksums is not None else ()):
        yield Problem(kind="damaged", file=folder / CHECKSUMS, reason=f"it has no line for {name}")
    for name in find_damaged_files(folder):
        exists = (folder / name).exists()
        reason = "it does not match its checksum" if exists else f"{CHECKSUMS} has a line for it"
        yield Problem(kind="damaged" if exists else "missing", file=folder / name, reason=reason)


def _check_trial(folder: Path, unusable: str | None, *, is_newer: bool) -> Iterator[Problem]:
    """Yield the problems of the files of a finished trial.

    Args:
        unusable: why its record cannot be used, if so.
    """
    problems = list(_check_checksums(folder, frozenset({RECORD, CURVE, PREDICTIONS})))
    yield from problems
    if unusable and (is_newer or not problems):
        yield Problem(kind="newer" if is_newer else "damaged", file=folder / RECORD, reason=unusable)
    for name in find_foreign_files(folder):
        yield Problem(kind="foreign", file=folder / name, reason=f"{CHECKSUMS} has no line for it")
    for entry in sorted(folder.iterdir()):
        if entry.name not in OF_TRIAL | UNFINISHED:
            yield Problem(kind="foreign", file=entry, reason="no version of tuneoff writes it there")
