"""Read the files of a run directory into values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.safe_yaml import parse_yaml
from tuneoff.records.judgement import Judgement
from tuneoff.records.measured import Measured
from tuneoff.records.record import BenchmarkScore, Epoch, Prediction, Record
from tuneoff.records.trial import Setting, compute_id
from tuneoff.records.vote import Vote
from tuneoff.runs.decisions import Decision
from tuneoff.runs.index import RecordIndex, pause_garbage_collection, read_state
from tuneoff.runs.layout import (
    BENCHMARKS,
    CURVE,
    DATA,
    ENVIRONMENT,
    FILES,
    MISFITS,
    PREDICTIONS,
    RECIPE,
    RECORD,
    list_recorded_trials,
)
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files, hash_bytes

_CURVE = TypeAdapter(tuple[Epoch, ...])
_PREDICTIONS = TypeAdapter(tuple[Prediction, ...])
_BENCHMARKS = TypeAdapter(tuple[BenchmarkScore, ...])
UNREADABLE = (OSError, ValueError, RecursionError)  # missing, not text, not JSON, or with other content than expected


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a report is computed from."""

    recipe: Recipe
    environment: Mapping[str, Any]  # versions and machine, the content of `environment.json`
    data: DataSummary
    records: tuple[Record, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)  # why a record cannot be used, by trial id
    judgements: Mapping[str, Judgement] = field(default_factory=dict)  # by question; empty without a judge
    misfits: Mapping[str, str] = field(default_factory=dict)  # why a method does not fit the model, by label
    decisions: tuple[Decision, ...] = ()  # that people made while the run went on
    votes: tuple[Vote, ...] = ()  # of people; empty if nobody voted
    measured: Measured | None = None  # None: the costs of serving were not measured


def read_recipe(path: Path) -> Recipe:
    """Read the recipe of the run directory `path`.

    Raises:
        RunError: the file is missing or cannot be read. So do the other functions here.
    """
    try:
        return Recipe.read(parse_yaml((path / RECIPE).read_text("utf-8"), RECIPE))
    except UNREADABLE as error:
        raise _explain_unreadable(path / RECIPE, error) from error


def read_data(path: Path) -> DataSummary:
    """Read the data summary of the run directory `path`."""
    try:
        return DataSummary.model_validate(_read_json(path / DATA))
    except UNREADABLE as error:
        raise _explain_unreadable(path / DATA, error) from error


def read_environment(path: Path) -> Mapping[str, Any]:  # Any: plain values, only shown
    """Read the versions and the machine of the run directory `path`."""
    try:
        environment = _read_json(path / ENVIRONMENT)
        if not isinstance(environment, Mapping):
            raise ValueError("it holds no mapping")
    except UNREADABLE as error:
        raise _explain_unreadable(path / ENVIRONMENT, error) from error
    return environment


def read_misfits(path: Path) -> dict[str, str]:
    """Read why methods of the run directory `path` do not fit its model, by label; empty if all fit."""
    if not (path / MISFITS).exists():
        return {}
    try:
        misfits = _read_json(path / MISFITS)
        if not isinstance(misfits, Mapping):
            raise ValueError("it holds no mapping")
    except UNREADABLE as error:
        raise _explain_unreadable(path / MISFITS, error) from error
    return {str(label): str(reason) for label, reason in misfits.items()}


def _explain_unreadable(file: Path, error: Exception) -> RunError:
    return RunError(
        f"{file} cannot be read: {error}. Run the same `tuneoff compare` again: it writes the file again and keeps the "
        "records."
    )


class NewerRecordError(RunError):
    """An undamaged record has fields that this version does not know."""


def read_records(path: Path, *, check_all: bool = False) -> tuple[dict[str, Record], dict[str, RunError]]:
    """Read every record. Return the records, and why the others cannot be read, both by trial id.

    Args:
        check_all: read all files, also those that did not change since they were read before.
    """
    index = RecordIndex() if check_all else RecordIndex.load(path)
    records: dict[str, Record] = {}
    unreadable: dict[str, RunError] = {}
    with pause_garbage_collection():
        for folder in list_recorded_trials(path):
            state = read_state(folder)
            if (known := index.find(folder.name, state)) is not None:
                records[folder.name] = known
                continue
            try:
                records[folder.name] = record = read_record(folder)
            except RunError as error:
                unreadable[folder.name] = error
            else:
                index.add(record, state)
    index.save(path, records.keys())
    return records, unreadable


def read_first_setting(path: Path) -> Setting | None:
    """Return the setting of any record of the run directory `path`; None if there is none that can be read."""
    for folder in list_recorded_trials(path):
        try:
            return Setting.model_validate(_read_json(folder / RECORD)["trial"]["setting"])
        except (*UNREADABLE, KeyError, TypeError):
            continue
    return None


def read_record(folder: Path) -> Record:
    """Read the record of one trial with its curve, predictions and benchmarks.

    Raises:
        NewerRecordError: a newer version wrote it.
        RunError: it cannot be read, is damaged or belongs to another trial.
    """
    own = (RECORD, CURVE, PREDICTIONS)
    # each file is opened once: a run can have tens of thousands of them
    contents = {name: _read_if_there(folder / name) for name in (*own, BENCHMARKS)}
    hashes = {name: None if content is None else hash_bytes(content) for name, content in contents.items()}
    if damaged := find_damaged_files(folder, contents, required=own, hashes=hashes):
        raise RunError(f"{damaged[0]} does not match its checksum")
    if missing := [name for name in own if contents[name] is None]:  # in a folder without checksums
        raise RunError(f"{missing[0]} cannot be read")
    try:
        content = json.loads(contents[RECORD] or b"")
        if not isinstance(content, dict) or "trial" not in content:
            raise RunError("it is the record of no trial")
        if compute_id(content["trial"]) != folder.name:
            raise RunError("it belongs to another trial")
        _require_own_files(folder, content.pop(FILES, None), hashes)
        record = Record.model_validate({**content, "trial": _share_setting(content["trial"])})
        curve = _CURVE.validate_json(_join_lines(contents[CURVE]))
        benchmarks = _BENCHMARKS.validate_json(_join_lines(contents[BENCHMARKS]))
        predictions = _PREDICTIONS.validate_json(_join_lines(contents[PREDICTIONS]))
    except ValidationError as error:
        if all(problem["type"] == "extra_forbidden" for problem in error.errors()):
            raise NewerRecordError(_explain_newer(content, error)) from error
        raise RunError(f"it cannot be read: {error}") from error
    except UNREADABLE as error:
        raise RunError(f"it cannot be read: {error}") from error
    return record.model_copy(update={"curve": curve, "predictions": predictions, "benchmarks": benchmarks})


def _share_setting(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a trial with one object for the setting, which is the same in all records of a run."""
    try:
        return {**trial, "setting": _read_setting(json.dumps(trial["setting"], sort_keys=True))}
    except (ValidationError, KeyError, TypeError):
        return trial  # the record says better what is wrong


@lru_cache(maxsize=8)
def _read_setting(text: str) -> Setting:
    return Setting.model_validate_json(text)


def _require_own_files(folder: Path, checksums: Mapping[str, str] | None, hashes: Mapping[str, str | None]) -> None:
    """Check that the files beside a record are those that were written with it.

    Args:
        checksums: as the record has them; None in a record of version 0.1.
        hashes: of the files that are there.
    """
    if checksums is None:
        return
    if not (folder / CHECKSUMS).exists():
        raise RunError(f"{CHECKSUMS} is missing")
    for name in (CURVE, PREDICTIONS, BENCHMARKS):
        if hashes[name] != checksums.get(name):
            raise RunError(f"{name} belongs to another record")


def _explain_newer(content: Mapping[str, Any], error: ValidationError) -> str:
    version = content["trial"].get("setting", {}).get("versions", {}).get("tuneoff") or "a newer version"
    field = ".".join(map(str, error.errors()[0]["loc"]))
    return (
        f"tuneoff {version} wrote it, with the field {field!r} that this version does not know. Update tuneoff to use "
        "it; it is kept as it is"
    )


def _read_json(file: Path) -> Any:  # Any: whatever the file holds
    return json.loads(file.read_text("utf-8"))


def _read_if_there(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _join_lines(content: bytes | None) -> bytes:
    """Return a JSON array of the lines of a file: reading it at once takes half as long as line by line."""
    return b"[" + b",".join((content or b"").split(b"\n")[:-1]) + b"]"
