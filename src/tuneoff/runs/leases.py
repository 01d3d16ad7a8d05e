"""Leases: which worker may write the result of which trial, agreed on by files in a folder that machines share.

LEASES/NAME.N    attempt N at NAME, a JSON object padded to one size

The attempt with the highest number owns the name. An attempt is made by `link(2)`, which fails if the file exists, also
on NFS, where `flock` cannot be relied on. The next number may be taken once the owner has released the lease, has
certainly ended, or has let it go stale. So no file is ever taken away from its owner: a worker that was asleep and
comes back finds a higher number, or its own file gone, and knows that it is fenced.

An owner shows that it is alive by writing a new count into its file, through a descriptor that it keeps: what it writes
can never land in another owner's file. Whoever watches measures with its own clock how long it has seen no change, so
the clocks of two machines are never compared.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, final

from tuneoff.system.full_disk import explain_full_disk
from tuneoff.system.processes import has_ended, identify_machine, read_start

BEAT_SECONDS = 2.0  # between two signs of life
STALE_SECONDS = 30.0  # without a sign of life, after which others may go on with the work
SIZE = 1024  # bytes of a lease, so that writing it again never changes its length
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}  # of file systems without links

State = Literal["held", "stale", "released", "gone"]
Content = dict[str, Any]  # plain JSON values


@final
class Lease:
    """One attempt at a name, held by this process. `claim` makes it."""

    def __init__(self, file: Path, descriptor: int, content: Content) -> None:
        self._file, self._descriptor, self._content = file, descriptor, content

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1."""
        return int(self._content["attempt"])

    @property
    def token(self) -> str:
        """Eight hex digits that no other lease has."""
        return str(self._content["token"])

    def beat(self, note: Mapping[str, Any] | None = None) -> None:
        """Show that this process is alive, and what it does. Two threads must not call this at once."""
        self._content |= {"beat": self._content["beat"] + 1, **({} if note is None else {"note": dict(note)})}
        self._write()

    def is_ours(self) -> bool:
        """Return whether no later attempt has begun and nobody has cleared the lease away."""
        content = _parse(_read(self._file))
        is_last = not get_file(self._file.parent, self._file.name.rpartition(".")[0], self.attempt + 1).exists()
        return is_last and content.get("token") == self.token

    def release(self) -> None:
        """Let others begin the next attempt at once."""
        self._content["state"] = "released"
        with contextlib.suppress(OSError):
            self._write()

    def close(self) -> None:
        """Give the descriptor back. The lease stays as it was last written."""
        os.close(self._descriptor)

    def _write(self) -> None:
        os.pwrite(self._descriptor, _format(self._content), 0)
        with contextlib.suppress(OSError):  # of a file that is gone, on NFS
            os.fsync(self._descriptor)


@final
class Watcher:
    """Watches the leases in a folder and claims new ones. What it has seen is counted by its own clock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[tuple[str, int], tuple[bytes, float]] = {}  # content, and when it was first seen so

    def list_attempts(self) -> dict[str, int]:
        """Return the number of the last attempt at each name."""
        last: dict[str, int] = {}
        for file in _list_names(self._folder):
            name, _, number = file.rpartition(".")
            if name and number.isdigit():
                last[name] = max(last.get(name, 0), int(number))
        return last

    def read(self, name: str, attempt: int) -> tuple[State, Content]:
        """Return the state of an attempt as far as this process can tell, and the lease's content."""
        raw = _read(get_file(self._folder, name, attempt))
        if raw is None:
            return "gone", {}
        content, now = _parse(raw), time.monotonic()
        if content.get("state") == "released":
            return "released", content
        if content and has_ended(content["machine"], content["pid"], content["start"]):
            return "stale", content
        before, since = self._seen.get((name, attempt), (b"", now))
        if raw != before:
            since = now
        self._seen[name, attempt] = (raw, since)
        return ("stale" if now - since >= STALE_SECONDS else "held"), content

    def claim(self, name: str, last_attempt: int) -> Lease | None:
        """Begin the attempt after the last one. Return None if another process was faster.

        Raises:
            FullDiskError: there is no room for the lease.
        """
        target = get_file(self._folder, name, last_attempt + 1)
        content: Content = {
            "token": secrets.token_hex(4), "attempt": last_attempt + 1, "state": "held", "beat": 0,
            "host": platform.node()[:64], "machine": identify_machine(), "pid": os.getpid(),
            "start": read_start(os.getpid()) or 0,
        }  # fmt: skip
        with explain_full_disk(target):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = _create_exclusively(target, _format(content), content["token"])
        self._seen.pop((name, last_attempt), None)
        return None if descriptor is None else Lease(target, descriptor, content)


@contextlib.contextmanager
def keep_beating(lease: Lease, look: Callable[[], Mapping[str, Any] | None]) -> Iterator[None]:
    """Show that this process is alive while the block runs.

    Args:
        look: is called in a thread every `BEAT_SECONDS`, and returns what the lease is to say.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # where the disk is full, the work itself says so
                lease.beat(look())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def get_file(folder: Path, name: str, attempt: int) -> Path:
    """Return the file of an attempt."""
    return folder / f"{name}.{attempt}"


def remove_leases(folder: Path, name: str) -> None:
    """Clear all attempts at a name away. Whoever still holds one is fenced."""
    for file in _list_names(folder):
        if file.rpartition(".")[0] == name:
            (folder / file).unlink(missing_ok=True)


def _create_exclusively(target: Path, content: bytes, token: str) -> int | None:
    """Create a file with its content in one step. Return its descriptor, or None if it exists."""
    temporary = target.with_name(f".{token}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o666)
        os.pwrite(descriptor, content, 0)
        os.fsync(descriptor)
        try:
            os.link(temporary, target)
        except OSError as error:
            if os.fstat(descriptor).st_nlink == 2:  # NFS: the link was made, and the answer was lost
                return descriptor
            os.close(descriptor)
            if error.errno in NO_LINKS:
                descriptor = os.open(target, flags, 0o666)
                os.pwrite(descriptor, content, 0)
                return descriptor
            raise
        return descriptor
    except FileExistsError:
        return None
    finally:
        temporary.unlink(missing_ok=True)


def _format(content: Content) -> bytes:
    """Return the content padded to the size of a lease, without its note if that would be too long."""
    for values in (content, {name: value for name, value in content.items() if name != "note"}):
        line = json.dumps(values).encode()
        if len(line) < SIZE:
            break
    return line.ljust(SIZE - 1) + b"\n"


def _parse(raw: bytes | None) -> Content:
    """Return the content; empty if it is only partly written or no lease."""
    try:
        content = json.loads(raw or b"{}")
    except ValueError:
        return {}
    is_lease = isinstance(content, dict) and {"token", "machine", "state"} <= content.keys()
    return content if is_lease and all(type(content.get(name)) is int for name in ("pid", "start")) else {}


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _list_names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
