"""Notice files that change while a run reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import final

from tuneoff.errors import RunError

Identity = tuple[int, int, int, int]  # inode, size, and the times of the last writing and of the last change, in ns


@final
class Watch:
    """Files that must keep the content that a run began with.

    A check compares sizes, times and inodes, which takes microseconds. Only where those have moved is the content read.

    Args:
        what: what the files are, for the message: "the base model".
        files: those that exist.
        has_same_content: reads the content and returns whether it is as at the start; None: it is not known.
        may_vanish: whether a file that is removed can still be read, because it is mapped into memory.
    """

    def __init__(
        self,
        what: str,
        files: Iterable[Path],
        has_same_content: Callable[[], bool] | None = None,
        *,
        may_vanish: bool = False,
    ) -> None:
        self._what, self._has_same_content, self._may_vanish = what, has_same_content, may_vanish
        self._identities = {file: _identify(file) for file in files}

    def require_unchanged(self) -> None:
        """Check the files.

        Raises:
            RunError: a file has changed.
        """
        current = {file: _identify(file) for file in self._identities}
        moved = [
            file
            for file, identity in current.items()
            if identity != self._identities[file] and not (identity is None and self._may_vanish)
        ]
        if not moved:
            return
        if self._has_same_content is None or not self._has_same_content():
            raise RunError(
                f"{moved[0]} changed while the run was reading {self._what}, so nothing is recorded of this trial. "
                "Restore the file and run the same command again, or use a new run directory for what is there now."
            )
        self._identities |= current


def _identify(file: Path) -> Identity | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
