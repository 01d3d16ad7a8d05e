"""The work on a run whose machines share no folder: they agree through a store of objects, such as `s3://bucket/mine`.

URL/run.json             whose run it is, so that another one does not use the same place
URL/session.json         what the comparison tells all workers
URL/open/NUMBER.ID       a trial that may run now; only the comparison writes and removes these
URL/leases, URL/beats    who runs it; see `tuneoff.runs.lease_objects`
URL/kept, URL/files      what the next attempt takes over, and the files; see `tuneoff.runs.attempt_files`
URL/published/ID         which attempt counts
URL/decisions.jsonl      what people decided, for the workers

The run directory stays on the machine of the comparison, which brings what is published into it. A worker has a scratch
folder of its own. What an attempt writes late counts for nothing, because no entry that counts names it.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs.attempt_files import (
    ENTRIES,
    FILES,
    PUBLISHED,
    AttemptFiles,
    Keeper,
    Kept,
    Published,
    StoredCheckpoint,
    keep_while_running,
    sign,
)
from tuneoff.runs.decisions import FILE as DECISIONS
from tuneoff.runs.layout import ADAPTER, CHECKPOINT, RECORD, SHARE, TRIALS, WORK, is_trial_id
from tuneoff.runs.lease_objects import BEATS, LEASES, LeaseObjects
from tuneoff.runs.leases import Lease
from tuneoff.runs.machine import Machine
from tuneoff.runs.share_url import get_scratch_folder
from tuneoff.runs.store import PROBES, Store, StoreError, open_store
from tuneoff.runs.work import Session, Work, get_id, number_new, parse_open, parse_session, sort_attempts
from tuneoff.runs.work_folder import WorkFolder, take_over
from tuneoff.runs.writing import write_record
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.interrupts import StopRequest
from tuneoff.system.supervisor import ATTEMPTS_FILE

POLL_SECONDS = 2.0  # between two looks at a store, which counts requests
OWNER, SESSION, OPEN = "run.json", "session.json", "open"
FOLDERS = (OPEN, LEASES, BEATS, ENTRIES, PUBLISHED, PROBES)
OWN = {SESSION, DECISIONS, FILES, *FOLDERS}  # what may come late after the end of a run before, and counts for nothing
_LOG = logging.getLogger(__name__)


class Owner(Options):
    """Whose run uses a URL."""

    id: str  # random, and in the run directory too
    host: str
    run: str  # the run directory there


@final
class SharedWork(Work):
    """The work at the URL of a store.

    Args:
        home: of the comparison, the run directory; of a worker, a scratch folder of its machine.
    """

    def __init__(self, store: Store, home: Path) -> None:
        self._store, self._home, self._files = store, home, AttemptFiles(store)
        self._leases, self._machine = LeaseObjects(store), Machine(home / WORK / "machines")
        self._attempts = home / WORK / "attempts"
        self._keepers: dict[Path, Keeper] = {}
        self._offered: set[str] = set()  # finished trials whose checkpoint workers can have
        self._decisions: bytes | None = None

    @property
    def address(self) -> str:
        return self._store.url

    @property
    def home(self) -> Path:
        return self._home

    @property
    def shared_folder(self) -> None:
        return None

    @property
    def poll_seconds(self) -> float:
        return POLL_SECONDS

    @property
    def leases(self) -> LeaseObjects:
        return self._leases

    @property
    def machine(self) -> Machine:
        return self._machine

    # for the comparison

    def begin(self) -> None:
        self._store.require_exclusive()
        WorkFolder(self._home).restore()  # what workers in a shared folder left
        owner = self._read_or_make_owner()
        present = self._files.read(OWNER, Owner)
        if present is None:
            if others := [name for name in self._store.list_names("") if name not in OWN]:
                raise RunError(
                    f"{self.address} contains other objects ({', '.join(others[:3])}). Name a new place with --share."
                )
            self._store.create(OWNER, owner.model_dump_json().encode())
            present = self._files.read(OWNER, Owner)
        if present is None or present.id != owner.id:
            whose = f"of {present.run} on {present.host}" if present else "that was removed just now"
            raise RunError(
                f"{self.address} is used by another run, {whose}. Name another place with --share. If that run is "
                "gone, remove what is there first."
            )

    def write_session(self, session: Session) -> None:
        self._store.write(SESSION, session.model_dump_json().encode())

    def open(self, trials: Sequence[Trial]) -> None:
        present, wanted = self.list_open(), {trial.id for trial in trials}
        for id in present.keys() - wanted:
            self._store.remove(f"{OPEN}/{present[id]}")
        for trial, name in number_new(present, trials):
            self._offer_unfinished(trial.id)
            if trial.before:
                self._offer_previous(trial.before.id)
            self._store.write(f"{OPEN}/{name}", trial.model_dump_json().encode())

    def close(self, id: str) -> None:
        for name in [name for open_id, name in self.list_open().items() if open_id == id]:
            self._store.remove(f"{OPEN}/{name}")
        self.leases.remove_all(id)
        published = self._files.read(f"{PUBLISHED}/{id}", Published)
        for attempt in sort_attempts(self._store.list_names(ENTRIES), id):
            self._store.remove(f"{ENTRIES}/{attempt}")
        for attempt in sort_attempts(self._files.list_attempts(), id):
            is_published = published is not None and attempt == published.attempt
            # a trial of the next rung goes on from it, until `remove_checkpoints`
            self._files.remove(attempt, but=published.files.get(CHECKPOINT) if published and is_published else None)

    def collect(self, ids: Collection[str]) -> list[str]:
        published = set(self._store.list_names(PUBLISHED))
        return [id for id in ids if self._has_local_record(id) or (id in published and self._fetch(id))]

    def remove_checkpoints(self, ids: Collection[str]) -> None:
        for id in set(ids) & set(self._store.list_names(PUBLISHED) if ids else ()):
            if published := self._files.read(f"{PUBLISHED}/{id}", Published):
                self._files.remove(published.attempt)
            self._offered.discard(id)

    def pass_decisions_on(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            decisions = (self._home / DECISIONS).read_bytes()
            if decisions != self._decisions:
                self._store.write(DECISIONS, decisions)
                self._decisions = decisions

    def remove(self) -> None:
        self._store.remove(SESSION)  # first, so that workers see that there is nothing to do
        for folder in FOLDERS:
            self._store.remove_folder(folder)
        for attempt in self._files.list_attempts():
            self._store.remove_folder(f"{FILES}/{attempt}")
        self._store.remove(DECISIONS)
        self._store.remove(OWNER)
        shutil.rmtree(self._home / WORK, ignore_errors=True)
        (self._home / SHARE).unlink(missing_ok=True)

    # for workers

    def read_session(self) -> Session:
        session = parse_session(self._store.read(SESSION), self.address)
        self._store.require_exclusive()  # this machine may have another version of the package for the store
        return session

    def list_open(self) -> dict[str, str]:
        return {get_id(name): name for name in self._store.list_names(OPEN) if is_trial_id(get_id(name))}

    def is_open(self, name: str) -> bool:
        return self._store.read(f"{OPEN}/{name}") is not None

    def read_open(self, name: str) -> Trial | None:
        content = self._store.read(f"{OPEN}/{name}")
        return None if content is None else parse_open(content, name)

    def has_record(self, id: str) -> bool:
        return self._store.read(f"{PUBLISHED}/{id}") is not None

    def begin_attempt(self, id: str, lease: Lease) -> Path:
        folder = self._attempts / f"{id}.{lease.attempt}.{lease.token}"
        earlier = sort_attempts({*self._store.list_names(ENTRIES), *self._list_local_attempts()}, id)
        folder.mkdir(parents=True)
        known: StoredCheckpoint | None = None
        for attempt in reversed(earlier):
            if not (folder / CHECKPOINT).exists():
                known = self._take_checkpoint(attempt, folder)
            if not (folder / ATTEMPTS_FILE).exists():
                self._take_deaths(attempt, folder)
        self._keepers[folder] = Keeper(self._store, folder, lease, known)
        for attempt in earlier:
            shutil.rmtree(self._attempts / attempt, ignore_errors=True)
        return folder

    def keep(self, folder: Path, lease: Lease, stop: StopRequest) -> contextlib.AbstractContextManager[None]:
        return keep_while_running(self._keepers[folder], stop)

    @contextlib.contextmanager
    def lend_previous(self, trial: Trial, folder: Path) -> Iterator[Path | None]:
        if trial.before is None or (folder / CHECKPOINT).exists():
            yield None
            return
        with TemporaryDirectory(dir=self._attempts, prefix=f"{folder.name}.before.") as lent:
            file = Path(lent, CHECKPOINT)
            published = self._files.read(f"{PUBLISHED}/{trial.before.id}", Published)
            sha256 = published.files.get(CHECKPOINT) if published else None
            yield file if published and sha256 and self._files.download(published.attempt, sha256, file) else None

    def publish(self, record: Record, folder: Path, lease: Lease) -> bool:
        if not lease.is_ours():
            return False
        write_record(folder, record, folder / ADAPTER)
        stored = self._keepers.pop(folder).find_checkpoint()
        left_out = {ATTEMPTS_FILE} if _may_be_resumed(record) else {ATTEMPTS_FILE, CHECKPOINT}
        files = {CHECKPOINT: stored} if stored and CHECKPOINT not in left_out else {}
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and name not in {*files, *left_out} and not file.name.startswith("."):
                files[name] = self._files.upload(file, folder.name)
        if not lease.is_ours():
            return False
        published = Published(attempt=folder.name, files=files)
        is_first = self._store.create(f"{PUBLISHED}/{record.trial.id}", published.model_dump_json().encode())
        shutil.rmtree(folder, ignore_errors=True)
        return is_first

    def take_decisions(self) -> None:
        decisions = self._store.read(DECISIONS)
        if decisions is None:
            (self._home / DECISIONS).unlink(missing_ok=True)  # of another run, at the same URL
        elif decisions != self._decisions:
            write_atomically(self._home / DECISIONS, decisions)
        self._decisions = decisions

    def clear_scratch(self) -> None:
        open_ids = self.list_open().keys()
        for entry in list(self._attempts.iterdir()) if self._attempts.is_dir() else ():
            if entry.name.partition(".")[0] not in open_ids:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)

    def _read_or_make_owner(self) -> Owner:
        """Return who this run is at the URL, which the run directory remembers."""
        file = self._home / SHARE
        run = str(self._home.resolve())
        with contextlib.suppress(FileNotFoundError, ValueError):
            return Owner.model_validate_json(file.read_bytes())
        owner = Owner(id=secrets.token_hex(8), host=platform.node(), run=run)
        write_atomically(file, owner.model_dump_json(indent=2) + "\n")
        return owner

    def _offer_unfinished(self, id: str) -> None:
        """Make what an earlier process left of a trial without a record the attempt before the first."""
        folder = self._home / TRIALS / id
        if (
            self._has_local_record(id)
            or not (folder / CHECKPOINT).exists()
            or sort_attempts(self._store.list_names(ENTRIES), id)
        ):
            return
        attempt = f"{id}.0.{secrets.token_hex(4)}"
        deaths = folder / ATTEMPTS_FILE
        kept = Kept(
            checkpoint=self._files.upload(folder / CHECKPOINT, attempt),
            attempts=deaths.read_text("utf-8") if deaths.exists() else None,
        )
        self._store.write(f"{ENTRIES}/{attempt}", kept.model_dump_json().encode())

    def _offer_previous(self, id: str) -> None:
        """Let workers have the checkpoint of a finished trial, if the store has it not."""
        file = self._home / TRIALS / id / CHECKPOINT
        if id in self._offered or not file.exists():
            return
        published = self._files.read(f"{PUBLISHED}/{id}", Published)
        if not (published and published.files.get(CHECKPOINT, "") in self._files.list_names(published.attempt)):
            attempt = f"{id}.0.{secrets.token_hex(4)}"
            offer = Published(attempt=attempt, files={CHECKPOINT: self._files.upload(file, attempt)})
            self._store.write(f"{PUBLISHED}/{id}", offer.model_dump_json().encode())
        self._offered.add(id)

    def _has_local_record(self, id: str) -> bool:
        return (self._home / TRIALS / id / RECORD).exists()

    def _fetch(self, id: str) -> bool:
        """Bring a published trial into the run directory. Return False if its files are not what they should be."""
        published = self._files.read(f"{PUBLISHED}/{id}", Published)
        if published is None:
            return False
        target = self._home / TRIALS / id
        (self._home / WORK).mkdir(exist_ok=True)
        with TemporaryDirectory(dir=self._home / WORK, prefix="incoming.") as incoming:
            folder = Path(incoming, id)
            whole = [
                self._files.download(published.attempt, sha256, folder / name)
                for name, sha256 in published.files.items()
            ]
            if RECORD not in published.files or not all(whole):
                _LOG.warning("Files of trial %s at %s are missing or damaged, so it runs again.", id, self.address)
                self._store.remove(f"{ENTRIES}/{published.attempt}")
                self._files.remove(published.attempt)
                self._store.remove(f"{PUBLISHED}/{id}")
                return False
            shutil.rmtree(target, ignore_errors=True)  # what an earlier process left of it without a record
            target.parent.mkdir(exist_ok=True)
            folder.rename(target)
        return True

    def _take_checkpoint(self, attempt: str, folder: Path) -> StoredCheckpoint | None:
        """Take the checkpoint of an earlier attempt over: from this machine, which may have a later one, or the store.

        Return it if it came from the store.
        """
        target = folder / CHECKPOINT
        if take_over(self._attempts / attempt / CHECKPOINT, target):
            return None
        kept = self._read_kept(attempt)
        if not (kept and kept.checkpoint and self._files.download(attempt, kept.checkpoint, target)):
            return None
        signature = sign(target)
        return StoredCheckpoint(signature, kept.checkpoint, attempt) if signature else None

    def _take_deaths(self, attempt: str, folder: Path) -> None:
        if take_over(self._attempts / attempt / ATTEMPTS_FILE, folder / ATTEMPTS_FILE):
            return
        kept = self._read_kept(attempt)
        if kept and kept.attempts is not None:
            write_atomically(folder / ATTEMPTS_FILE, kept.attempts)

    def _read_kept(self, attempt: str) -> Kept | None:
        """Read what is kept of an attempt; None too where it cannot be read, as of one that died while it wrote."""
        try:
            return self._files.read(f"{ENTRIES}/{attempt}", Kept)
        except StoreError:
            raise
        except RunError:
            return None

    def _list_local_attempts(self) -> list[str]:
        return sort_attempts([folder.name for folder in self._attempts.glob("*")]) if self._attempts.is_dir() else []


def _may_be_resumed(record: Record) -> bool:
    """Return whether a trial may go on from the checkpoint of this one: the next rung, or itself if it failed."""
    return record.trial.stage == "search" or record.status == "failed"


def open_shared_work(url: str, home: Path | None = None) -> SharedWork:
    """Open the work at a URL of `read_url`.

    Args:
        home: the run directory, for a comparison; None: the scratch folder of a worker.

    Raises:
        StoreError: there is no such kind of store.
    """
    return SharedWork(open_store(url), home or get_scratch_folder(url))
