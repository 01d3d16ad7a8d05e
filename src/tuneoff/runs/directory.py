"""What a run left on disk, and the one process that may add to it."""

import contextlib
import fcntl
import json
import logging
import os
import platform
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Epoch, Prediction, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runs.integrity import find_unpaired, find_unusable_answers, leads_into, require_same_recipe
from tuneoff.runs.reading import (
    CURVE,
    DATA,
    ENVIRONMENT,
    PREDICTIONS,
    RECIPE,
    RECORD,
    Run,
    read_data,
    read_environment,
    read_recipe,
    read_record,
)
from tuneoff.runs.redaction import redact
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.checksums import CHECKSUMS, find_damaged, format_checksums, hash_files, hash_text
from tuneoff.system.full_disk import explain_full_disk

LOCK, SET_ASIDE = ".lock", "set-aside"
BEFORE_BEGUN = (
    LOCK,
    CHECKSUMS,
    f".{CHECKSUMS}.",
    f".{RECIPE}.",
)  # all that a process which ends early may leave behind
TRIAL_ID = re.compile("[0-9a-f]{12}")
_LOG = logging.getLogger(__name__)


class RunDirectory:
    """A run directory: `path` and what may be done in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def report(self) -> Path:
        """Where the page, the tables and the figures go."""
        return self.path / "report"

    def trial_folder(self, trial: Trial) -> Path:
        """The folder of one trial."""
        return self.path / "trials" / trial.id

    def adapter(self, trial: Trial) -> Path:
        """Where a trial's trained weights are kept."""
        return self.trial_folder(trial) / "adapter"

    def checkpoint(self, trial: Trial) -> Path:
        """Where a trial leaves what it goes on from when it was cut short, and in a search what a higher rung does."""
        return self.trial_folder(trial) / "checkpoint.safetensors"

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
        with explain_full_disk(self.path / LOCK):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK).open("a+b", buffering=0)
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise RunError(
                    f"{self.path} is in use by {lock.read().decode(errors='replace').strip() or 'another process'}. "
                    "Wait for it, stop it, or give this comparison a directory of its own with --run."
                ) from None
            with contextlib.suppress(OSError):  # on a full disk the lock still holds, and only its owner is not told
                lock.truncate(0)
                now = datetime.now(UTC)
                lock.write(f"process {os.getpid()} on {platform.node()} since {now:%Y-%m-%d %H:%M} UTC".encode())
            yield

    def begin(self, recipe: Recipe, environment: Mapping[str, Any], data: DataSummary) -> None:
        """Say what is run here. A directory takes one recipe; adding methods or seeds to it is the same recipe grown.

        Raises:
            RunError: the directory was made by another recipe, or not by us.
        """
        self.require_fits(recipe)
        self.set_aside_damaged()
        contents = {
            RECIPE: yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True),
            ENVIRONMENT: _json(environment),
            DATA: _json(data.model_dump(mode="json")),
        }
        write_atomically(
            self.path / CHECKSUMS, format_checksums({name: hash_text(content) for name, content in contents.items()})
        )
        for name, content in contents.items():
            write_atomically(self.path / name, content)

    def set_aside_damaged(self) -> None:
        """Move damaged records out of the way, so that their trials are run again. Only for who holds the directory."""
        for id, reason in (self._damaged_weights() | self._judgeable()[1]).items():
            aside = self.path / SET_ASIDE
            taken = len(list(aside.glob(f"{id}*")))
            place = aside / (f"{id}-{taken + 1}" if taken else id)
            with explain_full_disk(place):
                aside.mkdir(exist_ok=True)
                (self.path / "trials" / id).rename(place)
            _LOG.warning(
                "The record of trial %s is damaged (%s): moved to %s, the trial is run again", id, reason, place
            )

    def _damaged_weights(self) -> dict[str, str]:
        """What differs from what was written besides what a report reads; what was removed to save room may be gone."""
        return {
            folder.name: f"{differing[0]} is not what was written"
            for folder in self.path.glob("trials/*")
            if TRIAL_ID.fullmatch(folder.name) and (folder / RECORD).is_file()
            if (differing := [name for name in find_damaged(folder) if (folder / name).is_file()])
        }

    def require_fits(self, recipe: Recipe) -> None:
        """Refuse a recipe other than the directory's own, before anything is loaded for it.

        Raises:
            RunError: the directory was made by another recipe, or not by us.
        """
        if self._has_begun():
            self._require_inside()
            if there := self._recipe_there():
                require_same_recipe(self.path, there, recipe)
        elif self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file. Name a new or empty directory with --run.")
        elif self.path.exists() and any(not entry.name.startswith(BEFORE_BEGUN) for entry in self.path.iterdir()):
            raise RunError(
                f"{self.path} holds other files and is no run directory. Name a new or empty one with --run."
            )

    def require_same_setting(self, setting: Setting) -> None:
        """Refuse to add records that could not be ranked with those that are there.

        Raises:
            RunError: what differs, such as the data's content, the processor or a library's version.
        """
        for record in self.records():
            there = record.trial.setting
            differing = [name for name in Setting.model_fields if getattr(there, name) != getattr(setting, name)]
            if differing:
                raise RunError(
                    f"{self.path} has records of another setting ({', '.join(differing)} differ), never ranked with "
                    "new ones. Give this comparison a directory of its own with --run, or remove that one."
                )

    def records(self) -> tuple[Record, ...]:
        """Every whole record that is there, with its curve and predictions."""
        return tuple(self._records()[0].values())

    def _records(self) -> tuple[dict[str, Record], dict[str, str]]:
        """The whole records, and what is wrong with the others, by trial id."""
        records: dict[str, Record] = {}
        left_out = {}
        for file in sorted(self.path.glob(f"trials/*/{RECORD}")):
            id = file.parent.name
            if TRIAL_ID.fullmatch(id):
                try:
                    records[id] = read_record(file.parent)
                except RunError as error:
                    left_out[id] = str(error)
        return records, left_out

    def _judgeable(self) -> tuple[dict[str, Record], dict[str, str]]:
        """The whole records whose answers can be scored and paired, and what is wrong with the others."""
        records, left_out = self._records()
        for id, record in records.items():
            if wrong := find_unusable_answers(record):
                left_out[id] = wrong
        for id in find_unpaired({id: record for id, record in records.items() if id not in left_out}):
            left_out[id] = "its answers are to other examples than those of most records"
        return {id: record for id, record in records.items() if id not in left_out}, left_out

    def write_record(self, record: Record) -> None:
        """Keep what became of a trial. The record itself is written last: with it, the trial is over.

        Its checksums stand before it, so that a record without them is one of a time before there were any.
        """
        folder = self.trial_folder(record.trial)
        if record.reason:
            record = record.model_copy(update={"reason": redact(record.reason)})
        contents = {
            CURVE: _json_lines(record.curve),
            PREDICTIONS: _json_lines(record.predictions),
            RECORD: _json(record.model_dump(mode="json")),
        }
        adapter = hash_files((file for file in self.adapter(record.trial).rglob("*") if file.is_file()), folder)
        texts = {name: hash_text(content) for name, content in contents.items()}
        write_atomically(folder / CHECKSUMS, format_checksums(texts | adapter))
        for name, content in contents.items():
            write_atomically(folder / name, content)

    def forget(self, trial: Trial) -> None:
        """Remove what a trial left."""
        shutil.rmtree(self.trial_folder(trial), ignore_errors=True)

    def clear(self, trial: Trial) -> None:
        """Remove what an interrupted or failed trial left, but what it goes on from."""
        kept = {self.checkpoint(trial)}
        for entry in self.trial_folder(trial).glob("*"):
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
        self._require_inside()
        if damage := find_damaged(self.path):
            raise RunError(
                f"{self.path / damage[0]} is not what was written: it is damaged, or was changed. Run the same "
                f"`tuneoff compare` again, which writes it anew and keeps the records; or, if you changed it yourself, "
                f"remove {self.path / CHECKSUMS}."
            )
        records, left_out = self._judgeable()
        for id, reason in left_out.items():
            _LOG.warning("The record of trial %s is left out (%s): `tuneoff compare` runs it again", id, reason)
        return Run(
            recipe=read_recipe(self.path),
            environment=read_environment(self.path / ENVIRONMENT),
            data=read_data(self.path / DATA),
            records=tuple(records.values()),
            left_out=left_out,
        )

    def _has_begun(self) -> bool:
        return (self.path / RECIPE).is_file()

    def _recipe_there(self) -> Recipe | None:
        """The directory's recipe; None where it is damaged and will be written anew. Records then guard the setting."""
        try:
            if wrong := find_damaged(self.path, {RECIPE}):
                raise RunError(f"{self.path / wrong[0]} is not what was written.")
            return read_recipe(self.path)
        except RunError as error:
            if not (self.path / "trials").is_dir():
                raise  # perhaps another program's recipe
            _LOG.warning("%s Written anew.", error)
            return None

    def _require_inside(self) -> None:
        """Refuse links that lead elsewhere: what a run writes and removes must be its own.

        Raises:
            RunError: there is one.
        """
        root = self.path.resolve()
        for entry in self.path.rglob("*"):
            if entry.is_symlink() and not leads_into(entry, root):
                raise RunError(f"{entry} is a link that leads out of the run directory. Put there what it leads to.")
            if not (entry.is_symlink() or entry.is_file() or entry.is_dir()):
                raise RunError(f"{entry} is neither a file nor a folder, and may never end. Remove it.")


def _json(value: Any) -> str:  # Any: whatever JSON takes
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _json_lines(values: Sequence[Epoch | Prediction]) -> str:
    return "".join(value.model_dump_json() + "\n" for value in values)
