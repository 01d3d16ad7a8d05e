"""Recognize a full disk, whichever library reports it, and explain how to continue."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuneoff.errors import FullDiskError

FULL_DISK_CODES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no space, disk quota exceeded, file size limit exceeded


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Raise FullDiskError if the block fails because the disk is full. Other errors pass through.

    Args:
        path: the file or folder that the block writes.

    Raises:
        FullDiskError: the disk is full.
    """
    try:
        yield
    except FullDiskError:
        raise
    except Exception as error:
        code = _find_full_disk_code(error)
        if code is None:
            raise
        raise FullDiskError(
            f"{path} could not be written: {os.strerror(code)}. {_get_cure(code, path)}, then run the same command "
            "again. Finished work is kept, and the run continues from there."
        ) from error


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error, or the error that caused it, reports a full disk."""
    return _find_full_disk_code(error) is not None


def _find_full_disk_code(error: BaseException | None) -> int | None:
    if error is None:
        return None
    code = _get_code(error)
    return code if code in FULL_DISK_CODES else _find_full_disk_code(error.__cause__)


def _get_code(error: BaseException) -> int | None:
    """Return the system's error number. safetensors is written in Rust and gives it only in the message."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else None


def _has_no_inode(folder: Path) -> bool:
    """Return whether the file system has a limited number of files and has reached it."""
    status = os.statvfs(folder)
    return status.f_files > 0 and status.f_favail == 0


def _get_cure(code: int, path: Path) -> str:
    if code == errno.EFBIG:
        return "Allow larger files (ulimit -f unlimited)"
    if code == errno.EDQUOT:
        return "Your disk quota is used up: delete files that you no longer need"
    folder = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
    if folder and _has_no_inode(folder):
        return "This disk has space, but all of its inodes are used up: remove files (df -i shows the number)"
    free = f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB are free on this disk. " if folder else ""
    return f"{free}Free some space"
