"""A copy of the records of a run in one file, so that a run with thousands of them opens at once.

RUN/index.json    a line with a checksum, and a line with the records and the states of their files

An entry holds a record as it was read and checked, and the size, inode and times of its files. While those are the
same, the copy counts; otherwise the files are read and checked again. A file that rots on the disk keeps its times, so
its record stays as it was when it was checked; `tuneoff verify` and a new start of the comparison read every file.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, final

from tuneoff.errors import FullDiskError
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runs.layout import BENCHMARKS, CURVE, INDEX, PREDICTIONS, RECORD
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.checksums import CHECKSUMS, hash_bytes, hash_text

READ = (RECORD, CURVE, PREDICTIONS, BENCHMARKS, CHECKSUMS)  # the files that a record is read from
APART = ("curve", "predictions", "benchmarks")  # the fields that are in files of their own
MIN_NEW = 200  # records that are not in the index: it is written again only if there are more, since that takes time
SETTLED_SECONDS = 2.0  # a file that was changed later than this may be changed again without another time

State = list[list[int] | None]  # of each file of a record; None: it is not there


@final
@dataclass
class RecordIndex:
    """The entries of a run's index by trial id, and the settings that they share."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)  # Any: JSON values
    settings: list[Setting] = field(default_factory=list)
    added: int = 0

    @classmethod
    def load(cls, path: Path) -> RecordIndex:
        """Read the index of the run directory `path`; an empty one if it has none, or one that is damaged or old."""
        try:
            content = _read_content(path)
            values = json.loads(content or b"")
            if values["format"] != compute_format():
                return cls()
            return cls(values["entries"], [Setting.model_validate(setting) for setting in values["settings"]])
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def find(self, id: str, state: State) -> Record | None:
        """Return a record if its files are as they were when it was read."""
        entry = self.entries.get(id)
        if entry is None or entry["state"] != state:
            return None
        trial = {**entry["record"]["trial"], "setting": self.settings[entry["setting"]]}
        return Record.model_validate({**entry["record"], "trial": trial})

    def add(self, record: Record, state: State) -> None:
        """Add a record that was just read and checked, unless its files may still change unnoticed."""
        newest = max((times[-1] for times in state if times), default=0)
        if time.time() - newest / 1e9 < SETTLED_SECONDS:
            return
        if record.trial.setting not in self.settings:
            self.settings.append(record.trial.setting)
        apart = {name: [row.model_dump(mode="json") for row in getattr(record, name)] for name in APART}
        own = record.model_dump(mode="json", exclude={"trial": {"setting"}})
        self.entries[record.trial.id] = {
            "state": state, "setting": self.settings.index(record.trial.setting), "record": {**own, **apart},
        }  # fmt: skip
        self.added += 1

    def save(self, path: Path, ids: Collection[str]) -> None:
        """Write the entries of these trials if that is worth the time. Without room or permission there is no index."""
        if self.added < max(MIN_NEW, len(self.entries) // 10):
            return
        settings = [setting.model_dump(mode="json") for setting in self.settings]
        entries = {id: entry for id, entry in self.entries.items() if id in ids}
        content = json.dumps(
            {"format": compute_format(), "settings": settings, "entries": entries}, separators=(",", ":")
        )
        with contextlib.suppress(OSError, FullDiskError):
            write_atomically(path / INDEX, f"{hash_text(content)}\n{content}")


@cache
def compute_format() -> str:
    """Return a hash of the fields of a record: an index of another version is not read."""
    return hash_text(json.dumps(Record.model_json_schema(), sort_keys=True))[:16]


def is_damaged(path: Path) -> bool:
    """Return whether the run directory `path` has an index that does not match its checksum."""
    try:
        return _read_content(path) is None
    except FileNotFoundError:
        return False
    except OSError:
        return True


def read_state(folder: Path) -> State:
    """Return size, inode, time of the content's and of the file's last change, of each file of a record."""
    return [_read_file_state(f"{folder}/{name}") for name in READ]


@contextlib.contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Collect no garbage while many objects are made that all stay: each collection would look at all of them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read_content(path: Path) -> bytes | None:
    """Return the content of an index; None if it does not match its checksum."""
    checksum, _, content = (path / INDEX).read_bytes().partition(b"\n")
    return content if hash_bytes(content).encode() == checksum else None


def _read_file_state(file: str) -> list[int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
