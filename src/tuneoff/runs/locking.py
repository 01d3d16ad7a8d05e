"""The lock that keeps a second process out of a run directory.

tuneoff runs on POSIX systems, Linux and macOS. The lock is `flock`, which the kernel releases when the process ends,
even if it is killed. Stopping a run needs POSIX signals too, and replacing a file in one step needs a POSIX rename.
Windows has none of the three; its Linux subsystem (WSL) has all of them.
"""

import contextlib
import errno
import io
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.runs.layout import LOCK
from tuneoff.system.full_disk import explain_full_disk

try:
    import fcntl
except ImportError:
    raise RunError(
        f"tuneoff runs on Linux and macOS, and this system ({platform.system()}) has no POSIX file locks. "
        "On Windows, install it in the Linux subsystem (WSL)."
    ) from None


@contextmanager
def lock_run(path: Path) -> Iterator[None]:
    """Hold the lock of a run directory while the block runs. The directory is created if it does not exist.

    Raises:
        RunError: another process holds the lock, or its file is a link.
    """
    with explain_full_disk(path / LOCK):
        path.mkdir(parents=True, exist_ok=True)
        lock = _open_no_link(path / LOCK)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().decode(errors="replace").strip() or "another process"
            raise RunError(
                f"{path} is in use by {owner}. Wait for it, stop it, or name another run directory with --run."
            ) from None
        with contextlib.suppress(OSError):  # on a full disk the lock still holds; only its owner is not named
            lock.truncate(0)
            now = datetime.now(UTC)
            lock.write(f"process {os.getpid()} on {platform.node()} since {now:%Y-%m-%d %H:%M} UTC".encode())
        yield


def _open_no_link(file: Path) -> io.FileIO:
    """Open a file to read and write, without following a link: what it leads to is not ours to write."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR}:
            raise RunError(
                f"{file} is a link or a folder, and tuneoff writes a file of its own there. Remove it."
            ) from None
        raise
    return io.FileIO(descriptor, "r+")
