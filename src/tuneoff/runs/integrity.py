"""Find what is damaged in a run directory, and move it away."""

import logging
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.metrics import LOSS, METRICS
from tuneoff.records.record import Record
from tuneoff.runs.layout import (
    ADAPTER,
    DATA,
    ENVIRONMENT,
    PREDICTIONS,
    RECIPE,
    RECORD,
    SET_ASIDE,
    TRIALS,
    list_recorded_trials,
)
from tuneoff.runs.reading import NewerRecordError, read_records
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files, read_checksums
from tuneoff.system.full_disk import explain_full_disk

_LOG = logging.getLogger(__name__)


def read_usable_records(path: Path) -> tuple[dict[str, Record], dict[str, str]]:
    """Read the records whose predictions can be scored and paired.

    Return them, and why the others cannot be used, both by trial id.
    """
    records, unreadable = read_records(path)
    unusable = find_unusable(records, unreadable)
    return {id: record for id, record in records.items() if id not in unusable}, unusable


def find_unusable(records: Mapping[str, Record], unreadable: Mapping[str, RunError]) -> dict[str, str]:
    """Return why records cannot be used, by trial id."""
    unusable = {id: str(error) for id, error in unreadable.items()}
    for id, record in records.items():
        if reason := _find_impossible_prediction(record):
            unusable[id] = reason
    for id in _find_unpaired({id: record for id, record in records.items() if id not in unusable}):
        unusable[id] = "its test examples are not those of most records"
    return unusable


def _find_impossible_prediction(record: Record) -> str | None:
    """Return why the predictions cannot be scored. Only a record without checksums can have such predictions."""
    predictions = record.predictions
    if not _is_tested(record):
        return None
    if not predictions or len({p.row for p in predictions}) < len(predictions):
        return f"{PREDICTIONS} has no predictions, or two for one example"
    if reason := _find_other_score(record):
        return reason
    metrics = [LOSS, *(METRICS[name] for name in predictions[0].scores if name in METRICS)]
    for p in predictions:
        if p.scores.keys() != predictions[0].scores.keys() or not all(metric.can_score(p) for metric in metrics):
            return f"{PREDICTIONS} has an impossible score in row {p.row}"
    return None


def _find_other_score(record: Record) -> str | None:
    """Return why the scores of a record cannot be those of its predictions."""
    for name, metric in METRICS.items():
        score = record.scores.get(f"test/{name}")
        if score is None or not all(metric.can_score(prediction) for prediction in record.predictions):
            continue
        if not math.isclose(score, metric.compute_mean(record.predictions), rel_tol=1e-6, abs_tol=1e-9):
            return f"test/{name} in {RECORD} is not the score of {PREDICTIONS}"
    return None


def _find_unpaired(records: Mapping[str, Record]) -> list[str]:
    """Return the ids of the records that were tested on other examples than most."""
    examples = {
        id: tuple(sorted((p.row, p.target_tokens, p.group or "") for p in record.predictions))
        for id, record in records.items()
        if _is_tested(record)
    }
    most_common = Counter(examples.values()).most_common(1)
    return [id for id, of_record in examples.items() if of_record != most_common[0][0]]


def _is_tested(record: Record) -> bool:
    return record.status == "done" and record.trial.stage == "confirm"


def set_aside_damaged(path: Path) -> None:
    """Move the trials with damaged records or weights away, so that they run again. Call this with the lock held.

    Raises:
        RunError: a newer version wrote a record, which is not to be trained again.
    """
    records, unreadable = read_records(path, check_all=True)
    _require_no_newer_record(path, unreadable)
    for id, reason in (_find_damaged_weights(path) | find_unusable(records, unreadable)).items():
        destination = _find_free_name(path / SET_ASIDE, id)
        with explain_full_disk(destination):
            destination.parent.mkdir(exist_ok=True)
            (path / TRIALS / id).rename(destination)
        _LOG.warning(
            "The record of trial %s is damaged (%s). It was moved to %s, and the trial runs again.",
            id, reason, destination,
        )  # fmt: skip


def _find_damaged_weights(path: Path) -> dict[str, str]:
    """Return which file of a trial has changed, by trial id. A file that was deleted to save space is no damage."""
    damaged = {}
    for folder in list_recorded_trials(path):
        if changed := [name for name in find_damaged_files(folder) if (folder / name).is_file()]:
            damaged[folder.name] = f"{changed[0]} does not match its checksum"
        elif foreign := find_foreign_files(folder):
            damaged[folder.name] = f"{foreign[0]} has no checksum, so it is not of this trial"
    return damaged


def find_foreign_files(folder: Path) -> list[str]:
    """Return the files of trained weights in a trial's folder that its checksums do not name.

    Without checksums, as in a run of an early version, return none.
    """
    try:
        checksums = read_checksums(folder)
    except ValueError:
        return []
    files = sorted((folder / ADAPTER).rglob("*")) if checksums is not None else []
    names = [file.relative_to(folder).as_posix() for file in files if file.is_file()]
    return [name for name in names if name not in (checksums or {})]


def _require_no_newer_record(path: Path, unreadable: Mapping[str, RunError]) -> None:
    for id, error in unreadable.items():
        if isinstance(error, NewerRecordError):
            raise RunError(f"The record of trial {id} in {path} cannot be used: {error}.")


def _find_free_name(folder: Path, id: str) -> Path:
    count = len(list(folder.glob(f"{id}*")))
    return folder / (f"{id}-{count + 1}" if count else id)


def require_undamaged(path: Path) -> None:
    """Check the files that all trials share against their checksums.

    Raises:
        RunError: a file is damaged or was changed by hand.
    """
    if damaged := find_damaged_files(path, required=(RECIPE, ENVIRONMENT, DATA)):
        raise RunError(
            f"{path / damaged[0]} does not match its checksum: it is damaged or was changed. Run the same "
            "`tuneoff compare` again, which writes it again and keeps the records. If you changed it yourself, remove "
            f"{path / CHECKSUMS}."
        )


def require_self_contained(path: Path) -> None:
    """Check that no link leads out of the directory: a run must write and delete only its own files.

    Raises:
        RunError: there is such a link, or something that is neither a file nor a folder.
    """
    root, folders = path.resolve(), [path]
    while folders:
        for entry in _scan(folders.pop()):
            if entry.is_symlink():
                if not _leads_into(Path(entry.path), root):
                    raise RunError(
                        f"{entry.path} is a link that leads out of the run directory. Replace it by its target."
                    )
            elif entry.is_dir():
                folders.append(Path(entry.path))
            elif not entry.is_file() and os.path.lexists(entry.path):
                raise RunError(f"{entry.path} is neither a file nor a folder, so reading it may never end. Remove it.")


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing of one that a worker has removed in the meantime."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _leads_into(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle
        return False
