"""The files of attempts in a store, each under the SHA-256 of its content, so that one is whole or does not count.

files/ID.N.TOKEN/SHA256    a file of an attempt
kept/ID.N.TOKEN            what the next attempt takes over from it: its last checkpoint, and who died in it
published/ID               which attempt counts, and its files by name; created exclusively

The files come first. So whoever finds an entry in `kept` or `published` finds what it names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar, final

from pydantic import ValidationError, field_validator

from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.runs.layout import CHECKPOINT
from tuneoff.runs.leases import Lease
from tuneoff.runs.store import Store, StoreError
from tuneoff.runs.work_folder import take_over
from tuneoff.system.checksums import hash_files
from tuneoff.system.full_disk import explain_full_disk
from tuneoff.system.interrupts import StopRequest
from tuneoff.system.supervisor import ATTEMPTS_FILE

FILES, ENTRIES, PUBLISHED = "files", "kept", "published"
KEEP_SECONDS = 2.0  # between two looks at whether a checkpoint was written
READS, READ_SECONDS = 3, 0.2  # of an entry that is there in part, in a store that does not put a whole one at once

EntryType = TypeVar("EntryType", bound=Options)
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint that a store has."""

    signature: Signature  # of the file here
    sha256: str
    attempt: str  # among whose files it is


class Kept(Options):
    """What the next attempt takes over from one."""

    checkpoint: str | None = None  # its SHA-256
    attempts: str | None = None  # the content of the file of this name


class Published(Options):
    """The attempt that counts."""

    attempt: str  # ID.N.TOKEN
    files: Mapping[str, str]  # SHA-256 by name

    @field_validator("files")
    @classmethod
    def _require_inner(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for name, sha256 in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not sha256.isalnum():
                raise ValueError(f"{name!r} is no file of an attempt")
        return files


@final
class AttemptFiles:
    """The files of all attempts in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, name: str, kind: type[EntryType]) -> EntryType | None:
        """Read an entry; None if it is not there.

        Raises:
            RunError: it is damaged, or another version wrote it.
        """
        for tries_left in reversed(range(READS)):
            content = self._store.read(name)
            if content is None:
                return None
            try:
                return kind.model_validate_json(content)
            except ValidationError as error:
                if not tries_left:
                    raise RunError(f"{self._store.url}/{name} cannot be read: {error}.") from error
            time.sleep(READ_SECONDS)
        raise AssertionError("the last try returns or raises")

    def upload(self, file: Path, attempt: str) -> str:
        """Put a file of an attempt. Return its SHA-256."""
        sha256 = _hash(file)
        self._store.upload(file, f"{FILES}/{attempt}/{sha256}")
        return sha256

    def download(self, attempt: str, sha256: str, target: Path) -> bool:
        """Get a file of an attempt. Return False if it is not there as a whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with explain_full_disk(target):
            is_whole = self._store.download(f"{FILES}/{attempt}/{sha256}", target) and _hash(target) == sha256
        if not is_whole:
            target.unlink(missing_ok=True)
        return is_whole

    def list_names(self, attempt: str) -> list[str]:
        """Return the SHA-256 of each file of an attempt."""
        return self._store.list_names(f"{FILES}/{attempt}")

    def list_attempts(self) -> list[str]:
        """Return the names of the attempts that have files."""
        return self._store.list_names(FILES)

    def remove(self, attempt: str, *, but: str | None = None) -> None:
        """Remove the files of an attempt, but for one."""
        if but is None:
            self._store.remove_folder(f"{FILES}/{attempt}")
            return
        for sha256 in self.list_names(attempt):
            if sha256 != but:
                self._store.remove(f"{FILES}/{attempt}/{sha256}")


@final
class Keeper:
    """Keeps in the store what the next attempt would take over from a running one.

    Args:
        known: the checkpoint that the folder began with, if the store has it.
    """

    def __init__(self, store: Store, folder: Path, lease: Lease, known: StoredCheckpoint | None) -> None:
        self._store, self._files, self._folder, self._lease = store, AttemptFiles(store), folder, lease
        self._known, self._kept = known, Kept()

    def keep(self) -> None:
        """Put what has changed, as long as the lease is ours.

        Raises:
            StoreError: the store fails.
        """
        text, is_new = _read_text(self._folder / ATTEMPTS_FILE), self._has_new_checkpoint()
        if (text == self._kept.attempts and not is_new) or not self._lease.is_ours():
            return
        if is_new:
            self._upload_checkpoint()
        own, before = self._find_own(), self._kept.checkpoint
        kept = Kept(checkpoint=own, attempts=text)
        self._store.write(f"{ENTRIES}/{self._folder.name}", kept.model_dump_json().encode())
        self._kept = kept
        if before and before != own:
            self._store.remove(f"{FILES}/{self._folder.name}/{before}")

    def find_checkpoint(self) -> str | None:
        """Return the SHA-256 of the folder's checkpoint, if the store has it as one of this attempt."""
        return None if self._has_new_checkpoint() else self._find_own()

    def _find_own(self) -> str | None:
        return self._known.sha256 if self._known and self._known.attempt == self._folder.name else None

    def _has_new_checkpoint(self) -> bool:
        signature = sign(self._folder / CHECKPOINT)
        return signature is not None and (self._known is None or signature != self._known.signature)

    def _upload_checkpoint(self) -> None:
        """Put the checkpoint as it is now, whatever replaces it meanwhile."""
        snapshot = self._folder.with_name(f"{self._folder.name}.snapshot")
        signature = sign(self._folder / CHECKPOINT)
        try:
            take_over(self._folder / CHECKPOINT, snapshot)
            sha256 = self._files.upload(snapshot, self._folder.name)
        finally:
            snapshot.unlink(missing_ok=True)
        if signature:  # if it was replaced since, the next look finds another one
            self._known = StoredCheckpoint(signature, sha256, self._folder.name)


@contextmanager
def keep_while_running(keeper: Keeper, stop: StopRequest) -> Iterator[None]:
    """Have a keeper look every few seconds in a thread while the block runs, and once at its end.

    Raises:
        StoreError: the store failed for so long that the trial was asked to stop.
        OSError: the disk of this machine did.
    """
    ended, lost = threading.Event(), list[Exception]()

    def look() -> None:
        while not lost and not ended.wait(KEEP_SECONDS):
            try:
                keeper.keep()
            except (StoreError, OSError) as error:
                lost.append(error)
                stop.request(str(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if lost:
            raise lost[0]
        keeper.keep()


def sign(file: Path) -> Signature | None:
    """Return what changes when a file is replaced; None if there is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _hash(file: Path) -> str:
    return hash_files([file], file.parent)[file.name]


def _read_text(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
