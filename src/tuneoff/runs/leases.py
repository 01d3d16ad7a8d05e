"""Leases: which worker may write the result of which trial, agreed on by what processes create exclusively.

NAME.N    attempt N at NAME, a JSON object padded to one size

The attempt with the highest number owns the name. An attempt is created in one step that fails if it is there: in a
folder that machines share by `link(2)`, also on NFS, where `flock` cannot be relied on; `tuneoff.runs.lease_objects`
does it in a store of objects. The next number may be taken once the owner has released the lease, has certainly ended,
or has let it go stale. So nothing is ever taken away from its owner: a worker that was asleep and comes back finds a
higher number, or its own lease gone, and knows that it is fenced.

An owner shows that it is alive by writing a new count where nobody else writes: in a folder through a descriptor that
it keeps, so that it can never land in another owner's file. Whoever watches measures with its own clock how long it has
seen no change, so the clocks of two machines are never compared.
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
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, final

from tuneoff.runs.store import StoreError
from tuneoff.system.full_disk import explain_full_disk
from tuneoff.system.processes import has_ended, identify_machine, read_start

BEAT_SECONDS = 2.0  # between two signs of life
STALE_SECONDS = 30.0  # without a sign of life, after which others may go on with the work
SIZE = 1024  # bytes of a lease, so that writing it again never changes its length
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}  # of file systems without links

State = Literal["held", "stale", "released", "gone"]
Content = dict[str, Any]  # plain JSON values


class Pen(Protocol):
    """Where the owner of one attempt writes its signs of life, and nobody else does."""

    def write(self, content: bytes) -> None:
        """Replace the sign of life."""

    def close(self) -> None:
        """Give back what it holds. What was written last stays."""


class Leases(ABC):
    """The place where leases are kept. Names are those of attempts, NAME.N."""

    @property
    @abstractmethod
    def beat_seconds(self) -> float:
        """Between two signs of life."""

    @property
    @abstractmethod
    def stale_seconds(self) -> float:
        """Without a sign of life, after which others may go on with the work."""

    @abstractmethod
    def list_names(self) -> list[str]:
        """Return the names of all attempts."""

    @abstractmethod
    def read_claim(self, name: str) -> bytes | None:
        """Return what says whose attempt it is; None if there is none."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return the last sign of life of an attempt; None if there is no such attempt."""

    @abstractmethod
    def create(self, name: str, content: bytes, token: str) -> Pen | None:
        """Create an attempt in one step. Return None if it is there."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Clear an attempt away, if it is there."""

    def remove_all(self, name: str) -> None:
        """Clear all attempts at a name away. Whoever still holds one is fenced."""
        for attempt in self.list_names():
            if attempt.rpartition(".")[0] == name:
                self.remove(attempt)


@final
class LeaseFolder(Leases):
    """Leases as files in a folder, LEASES/NAME.N."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def beat_seconds(self) -> float:
        return BEAT_SECONDS

    @property
    def stale_seconds(self) -> float:
        return STALE_SECONDS

    def list_names(self) -> list[str]:
        try:
            return os.listdir(self.path)
        except OSError:
            return []

    def read_claim(self, name: str) -> bytes | None:
        return self.read(name)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except OSError:
            return None

    def create(self, name: str, content: bytes, token: str) -> Pen | None:
        target = self.path / name
        with explain_full_disk(target):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = _create_exclusively(target, content, token)
        return None if descriptor is None else FilePen(descriptor)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


@final
class FilePen:
    """Writes into a file that may have been removed, and never into another one of its name."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        os.pwrite(self._descriptor, content, 0)
        with contextlib.suppress(OSError):  # of a file that is gone, on NFS
            os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


@final
class Lease:
    """One attempt at a name, held by this process. `claim` makes it."""

    def __init__(self, leases: Leases, name: str, pen: Pen, content: Content) -> None:
        self._leases, self._name, self._pen, self._content = leases, name, pen, content

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1."""
        return int(self._content["attempt"])

    @property
    def token(self) -> str:
        """Eight hex digits that no other lease has."""
        return str(self._content["token"])

    @property
    def beat_seconds(self) -> float:
        """Between two signs of life."""
        return self._leases.beat_seconds

    def beat(self, note: Mapping[str, Any] | None = None) -> None:
        """Show that this process is alive, and what it does. Two threads must not call this at once."""
        self._content |= {"beat": self._content["beat"] + 1, **({} if note is None else {"note": dict(note)})}
        self._pen.write(_format(self._content))

    def is_ours(self) -> bool:
        """Return whether no later attempt has begun and nobody has cleared the lease away."""
        content = _parse(self._leases.read_claim(get_name(self._name, self.attempt)))
        is_last = self._leases.read_claim(get_name(self._name, self.attempt + 1)) is None
        return is_last and content.get("token") == self.token

    def release(self) -> None:
        """Let others begin the next attempt at once. Doing so twice writes nothing more."""
        if self._content["state"] == "released":
            return
        self._content["state"] = "released"
        with contextlib.suppress(OSError, StoreError):
            self._pen.write(_format(self._content))

    def close(self) -> None:
        """Give back what the lease holds. It stays as it was last written."""
        self._pen.close()


@final
class Watcher:
    """Watches leases and claims new ones. What it has seen is counted by its own clock."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._seen: dict[tuple[str, int], tuple[bytes, float]] = {}  # content, and when it was first seen so

    def list_attempts(self) -> dict[str, int]:
        """Return the number of the last attempt at each name."""
        last: dict[str, int] = {}
        for attempt in self._leases.list_names():
            name, _, number = attempt.rpartition(".")
            if name and number.isdigit():
                last[name] = max(last.get(name, 0), int(number))
        return last

    def read(self, name: str, attempt: int) -> tuple[State, Content]:
        """Return the state of an attempt as far as this process can tell, and the lease's content."""
        raw = self._leases.read(get_name(name, attempt))
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
        return ("stale" if now - since >= self._leases.stale_seconds else "held"), content

    def claim(self, name: str, last_attempt: int) -> Lease | None:
        """Begin the attempt after the last one. Return None if another process was faster.

        Raises:
            FullDiskError: there is no room for the lease.
            StoreError: the store of the leases fails.
        """
        content: Content = {
            "token": secrets.token_hex(4), "attempt": last_attempt + 1, "state": "held", "beat": 0,
            "host": platform.node()[:64], "machine": identify_machine(), "pid": os.getpid(),
            "start": read_start(os.getpid()) or 0,
        }  # fmt: skip
        pen = self._leases.create(get_name(name, last_attempt + 1), _format(content), content["token"])
        self._seen.pop((name, last_attempt), None)
        return None if pen is None else Lease(self._leases, name, pen, content)


@contextlib.contextmanager
def keep_beating(lease: Lease, look: Callable[[], Mapping[str, Any] | None]) -> Iterator[None]:
    """Show that this process is alive while the block runs.

    Args:
        look: is called in a thread every few seconds, and returns what the lease is to say.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(lease.beat_seconds):
            with contextlib.suppress(OSError, StoreError):  # where the disk is full, the work itself says so
                lease.beat(look())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def get_name(name: str, attempt: int) -> str:
    """Return the name of an attempt."""
    return f"{name}.{attempt}"


def read_token(raw: bytes | None) -> str | None:
    """Return the token in a lease; None without one."""
    token = _parse(raw).get("token")
    return token if isinstance(token, str) else None


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
