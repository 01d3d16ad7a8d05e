"""Write the files of a run directory, each atomically and with its checksum."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import BenchmarkScore, Epoch, Prediction, Record
from tuneoff.runs.layout import BENCHMARKS, CURVE, DATA, ENVIRONMENT, FILES, MISFITS, PREDICTIONS, RECIPE, RECORD
from tuneoff.runs.redaction import redact
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.checksums import CHECKSUMS, format_checksums, hash_files, hash_text


def write_run(
    path: Path, recipe: Recipe, environment: Mapping[str, Any], data: DataSummary, misfits: Mapping[str, str]
) -> None:
    """Write what the trials of a run share.

    Args:
        misfits: why methods do not fit the model, by label.
    """
    contents = {
        RECIPE: yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True),
        ENVIRONMENT: _format_json(environment),
        DATA: _format_json(data.model_dump(mode="json")),
    }
    if misfits:
        contents[MISFITS] = _format_json({label: redact(reason) for label, reason in misfits.items()})
    write_with_checksums(path, contents, {})
    if not misfits:
        (path / MISFITS).unlink(missing_ok=True)


def write_record(folder: Path, record: Record, adapter: Path) -> None:
    """Write a trial's record. `record.json` is written last and marks the trial as finished.

    Args:
        folder: the folder of the trial.
        adapter: the folder with the trained weights; the checksums cover them too.
    """
    if record.reason:
        record = record.model_copy(update={"reason": redact(record.reason)})
    contents = {
        CURVE: _format_json_lines(record.curve),
        PREDICTIONS: _format_json_lines(record.predictions),
        **({BENCHMARKS: _format_json_lines(record.benchmarks)} if record.benchmarks else {}),
    }
    weights = hash_files((file for file in adapter.rglob("*") if file.is_file()), folder)
    own = {name: hash_text(content) for name, content in contents.items()}  # files that belong to no other record
    text = _format_json({**record.model_dump(mode="json"), FILES: {**own, **weights}})
    write_with_checksums(folder, {**contents, RECORD: text}, weights)


def write_with_checksums(folder: Path, contents: Mapping[str, str], other_checksums: Mapping[str, str]) -> None:
    """Write files, by name. Their checksums come first, so that only files of old versions have none."""
    checksums = {**{name: hash_text(content) for name, content in contents.items()}, **other_checksums}
    if folders := [folder / name for name in (CHECKSUMS, *contents) if (folder / name).is_dir()]:
        raise RunError(f"{folders[0]} is a folder where a file is to be written. Remove it.")
    write_atomically(folder / CHECKSUMS, format_checksums(checksums))
    for name, content in contents.items():
        write_atomically(folder / name, content)


def _format_json(value: Any) -> str:  # Any: whatever JSON can hold
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _format_json_lines(values: Sequence[Epoch | Prediction | BenchmarkScore]) -> str:
    return "".join(value.model_dump_json() + "\n" for value in values)
