"""What a run left on disk, and the one process that may add to it."""

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe import Recipe
from tuneoff.runs.files import write_whole
from tuneoff.trial import Epoch, Prediction, Record, Setting, Trial

LOCK = ".lock"


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that a report is made from."""

    recipe: Recipe
    environment: Mapping[str, Any]  # versions and machine, as `environment.json` has them
    data: DataSummary
    records: tuple[Record, ...]


class RunDirectory:
    """A run directory: `path` and what may be done in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def report(self) -> Path:
        """Where the page, the tables and the figures go."""
        return self.path / "report"

    def trial(self, trial: Trial) -> Path:
        """The folder of one trial."""
        return self.path / "trials" / trial.id

    def adapter(self, trial: Trial) -> Path:
        """Where a trial's trained weights are kept."""
        return self.trial(trial) / "adapter"

    def checkpoint(self, trial: Trial) -> Path:
        """Where a trial leaves what it goes on from when it was cut short, and in a search what a higher rung does."""
        return self.trial(trial) / "checkpoint.safetensors"

    def drop_checkpoints(self, ids: Collection[str]) -> None:
        """Remove the checkpoints of these trials: one holds what is trained and twice that for its optimizer."""
        for file in self.path.glob("trials/*/checkpoint.*"):
            if file.parent.name in ids:
                file.unlink()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for this process; the system lets go of it when the process ends, however it ends.

        Raises:
            RunError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise RunError(
                    f"{self.path} is in use by process {lock.read().strip() or 'unknown'}. "
                    "Wait for it, stop it, or give this comparison a directory of its own with --run."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def begin(self, recipe: Recipe, environment: Mapping[str, Any], data: DataSummary) -> None:
        """Say what is run here. A directory takes one recipe; adding methods or seeds to it is the same recipe grown.

        Raises:
            RunError: the directory was made by another recipe, or not by us.
        """
        self.require_fits(recipe)
        write_whole(self.path / "recipe.yaml", yaml.safe_dump(recipe.written(), sort_keys=False, allow_unicode=True))
        write_whole(self.path / "environment.json", _json(environment))
        write_whole(self.path / "data.json", _json(data.model_dump(mode="json")))

    def require_fits(self, recipe: Recipe) -> None:
        """Refuse a recipe other than the directory's own, before anything is loaded for it.

        Raises:
            RunError: the directory was made by another recipe, or not by us.
        """
        if self._has_begun():
            _require_same(self.path, _read_recipe(self.path), recipe)
        elif self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file. Name a new or empty directory with --run.")
        elif self.path.exists() and any(entry.name != LOCK for entry in self.path.iterdir()):
            raise RunError(
                f"{self.path} holds other files and is no run directory. Name a new or empty one with --run."
            )

    def require_same_setting(self, setting: Setting) -> None:
        """Refuse to add records that could not be ranked with those that are there.

        Raises:
            RunError: what differs, such as the data's content, the processor or a library's version.
        """
        for file in self.path.glob("trials/*/record.json"):
            there = _read_record(file.parent).trial.setting
            differing = [name for name in Setting.model_fields if getattr(there, name) != getattr(setting, name)]
            if differing:
                raise RunError(
                    f"{self.path} has records of another setting ({', '.join(differing)} differ), never ranked with "
                    "new ones. Give this comparison a directory of its own with --run, or remove that one."
                )

    def records(self) -> tuple[Record, ...]:
        """Every record that is there, with its curve and predictions."""
        return tuple(_read_record(file.parent) for file in sorted(self.path.glob("trials/*/record.json")))

    def write_record(self, record: Record) -> None:
        """Keep what became of a trial. The record itself is written last: with it, the trial is over."""
        folder = self.trial(record.trial)
        write_whole(folder / "curve.jsonl", _json_lines(record.curve))
        write_whole(folder / "predictions.jsonl", _json_lines(record.predictions))
        write_whole(folder / "record.json", _json(record.model_dump(mode="json")))

    def forget(self, trial: Trial) -> None:
        """Remove what a trial left."""
        shutil.rmtree(self.trial(trial), ignore_errors=True)

    def clear(self, trial: Trial) -> None:
        """Remove what an interrupted or failed trial left, but what it goes on from."""
        kept = {self.checkpoint(trial)}
        for entry in self.trial(trial).glob("*"):
            if entry not in kept:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def read(self) -> Run:
        """What the directory holds; its recipe may want only some of the records.

        Raises:
            RunError: this is no run directory, or a file in it cannot be read.
        """
        if not self._has_begun():
            raise RunError(
                f"{self.path} is no run directory: it has no recipe.yaml. Runs are made by `tuneoff compare`."
            )
        return Run(
            recipe=_read_recipe(self.path),
            environment=_read_json(self.path / "environment.json"),
            data=_validated(DataSummary, self.path / "data.json"),
            records=self.records(),
        )

    def _has_begun(self) -> bool:
        return (self.path / "recipe.yaml").is_file()


def _require_same(path: Path, there: Recipe, recipe: Recipe) -> None:
    """Methods and seeds may be added; note, verdict and budget may change; what the search does otherwise may not."""
    ours, theirs = recipe.written(), there.written()
    for whole in (ours, theirs):
        for name in ("note", "seeds", "verdict", "budget"):
            whole.pop(name)
        whole["spaces"] = (whole["search"] or {}).pop("spaces", {})
    differing = [name for name in ours if name not in {"methods", "spaces"} and ours[name] != theirs[name]]
    for part in ("methods", "spaces"):
        for label in there.methods.keys() & recipe.methods.keys():
            if ours[part].get(label) != theirs[part].get(label):
                differing.append(f"{'search.' if part == 'spaces' else ''}{part}.{label}")
    if differing:
        raise RunError(
            f"{path} was made by another recipe: {', '.join(sorted(differing))} differ. "
            "Give this comparison a directory of its own with --run, or remove that one."
        )


def _read_recipe(path: Path) -> Recipe:
    try:
        return Recipe.read(yaml.safe_load((path / "recipe.yaml").read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{path / 'recipe.yaml'} cannot be read: {error}") from error


def _validated(kind: type[DataSummary], path: Path) -> DataSummary:
    try:
        return kind.model_validate(_read_json(path))
    except ValidationError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _read_record(folder: Path) -> Record:
    try:
        record = Record.model_validate(_read_json(folder / "record.json"))
        return record.model_copy(
            update={
                "curve": tuple(Epoch.model_validate_json(line) for line in _lines(folder / "curve.jsonl")),
                "predictions": tuple(
                    Prediction.model_validate_json(line) for line in _lines(folder / "predictions.jsonl")
                ),
            }
        )
    except (OSError, ValidationError) as error:
        raise RunError(f"{folder} cannot be read: {error}. Remove that folder, and the trial is run again.") from error


def _read_json(path: Path) -> Any:  # Any: whatever the file holds; validated by the caller
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1]


def _json(value: Any) -> str:  # Any: whatever JSON takes
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _json_lines(values: Sequence[Epoch | Prediction]) -> str:
    return "".join(value.model_dump_json() + "\n" for value in values)
