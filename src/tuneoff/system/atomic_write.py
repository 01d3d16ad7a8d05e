"""Writing to a disk that may be full: a file whole or not at all, and one message that says how to go on."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuneoff.errors import FullDiskError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, the user's share of it, or the longest file allowed


def write_atomically(path: Path, content: str | bytes) -> None:
    """Put `content` at `path` so that a reader, or a crash, sees the old file or the new one and nothing between.

    Written under a temporary name in the same folder, flushed to the disk, then renamed.

    Raises:
        FullDiskError: there is no room for it.
    """
    data = content.encode() if isinstance(content, str) else content
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide a report from a web server
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Say in our words that the disk became full inside the block, whichever library noticed it.

    Args:
        path: what is written there.

    Raises:
        FullDiskError: there was no room.
    """
    try:
        yield
    except FullDiskError:
        raise
    except Exception as error:
        code = _find_full_disk(error)
        if code is None:
            raise
        raise FullDiskError(
            f"{path} could not be written: {os.strerror(code)}. {_get_cure(code, path)}, "
            "and give the same command again: what was finished is kept, and it goes on from there."
        ) from error


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or the one that it came from, says that nothing more can be written."""
    return _find_full_disk(error) is not None


def _find_full_disk(error: BaseException | None) -> int | None:
    """Which of `NO_ROOM` an error, or one that it came from, is."""
    if error is None:
        return None
    code = _get_code(error)
    return code if code in NO_ROOM else _find_full_disk(error.__cause__)


def _get_code(error: BaseException) -> int | None:
    """The system's number for what went wrong; safetensors, written in Rust, has it in its words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _get_cure(code: int, path: Path) -> str:
    """What gives room; a quota or a limit on files says nothing of the disk."""
    if code == errno.EFBIG:
        return "Allow longer files (ulimit -f unlimited)"
    if code == errno.EDQUOT:
        return "Delete what you no longer need, since your share of the disk is used up"
    there = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
    left = f"{shutil.disk_usage(there).free / 1e6:,.1f} MB are left on its disk. " if there else ""
    return f"{left}Make room"
