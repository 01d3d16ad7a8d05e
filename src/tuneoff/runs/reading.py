"""The files of a run directory, read back into values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Epoch, Prediction, Record
from tuneoff.records.trial import compute_id
from tuneoff.system.checksums import find_damaged

RECIPE, ENVIRONMENT, DATA = "recipe.yaml", "environment.json", "data.json"


CURVE, PREDICTIONS, RECORD = "curve.jsonl", "predictions.jsonl", "record.json"


UNREADABLE = (OSError, ValueError, RecursionError)  # gone, not text, not JSON, or not what it should hold


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a report is made from."""

    recipe: Recipe
    environment: Mapping[str, Any]  # versions and machine, as `environment.json` has them
    data: DataSummary
    records: tuple[Record, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)  # what is wrong with a damaged record, by trial id


def read_recipe(path: Path) -> Recipe:
    try:
        return Recipe.read(yaml.safe_load((path / RECIPE).read_text("utf-8")))
    except (*UNREADABLE, yaml.YAMLError) as error:
        raise _explain_unreadable(path / RECIPE, error) from error


def read_data(file: Path) -> DataSummary:
    try:
        return DataSummary.model_validate(json.loads(file.read_text("utf-8")))
    except UNREADABLE as error:
        raise _explain_unreadable(file, error) from error


def read_environment(file: Path) -> Mapping[str, Any]:  # Any: plain values, only ever shown
    try:
        environment = json.loads(file.read_text("utf-8"))
    except UNREADABLE as error:
        raise _explain_unreadable(file, error) from error
    if not isinstance(environment, Mapping):
        raise _explain_unreadable(file, ValueError("it holds no names with values"))
    return environment


def _explain_unreadable(file: Path, error: Exception) -> RunError:
    return RunError(
        f"{file} cannot be read: {error}. Run the same `tuneoff compare` again: it writes the file anew and keeps the "
        "records."
    )


def read_record(folder: Path) -> Record:
    """
    Raises:
        RunError: what is wrong with it.
    """
    if wrong := find_damaged(folder, {RECORD, CURVE, PREDICTIONS}):
        raise RunError(f"{wrong[0]} is not what was written")
    try:
        written = json.loads((folder / RECORD).read_text("utf-8"))
        record = Record.model_validate(written)
        if compute_id(written["trial"]) != folder.name:
            raise RunError("it is another trial's")
        whole = record.model_copy(
            update={
                "curve": tuple(Epoch.model_validate_json(line) for line in _read_lines(folder / CURVE)),
                "predictions": tuple(
                    Prediction.model_validate_json(line) for line in _read_lines(folder / PREDICTIONS)
                ),
            }
        )
    except UNREADABLE as error:
        raise RunError(f"it cannot be read: {error}") from error
    return whole


def _read_lines(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1]
