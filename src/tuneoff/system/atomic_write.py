"""Replace a file or a folder so that no reader and no crash ever sees half of it.

The new content is written under a temporary name beside the old one, flushed to the disk and renamed, which POSIX does
in one step. Two things are written in place instead, and a file that is written last marks them as complete: a trial's
adapter, marked by its record, and the token cache, which `datasets` must read where it wrote it, marked by its
checksums.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tuneoff.system.full_disk import explain_full_disk


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` atomically. Folders that are missing are created.

    Raises:
        FullDiskError: the disk is full.
    """
    with replace_atomically(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to. When the block ends, that file replaces `path`.

    If the block raises, the temporary file is removed and `path` stays as it was.

    Raises:
        FullDiskError: the disk is full.
    """
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            yield temporary
            _flush_to_disk(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder_atomically(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `folder` to fill. When the block ends, it replaces `folder`.

    For a moment between two renames there is no folder. If another process creates `folder` in the meantime, its
    version stays. Both suit a cache, whose content can be made again and is always the same.

    Raises:
        FullDiskError: the disk is full.
    """
    with explain_full_disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            new = Path(temporary, "new")
            new.mkdir()
            yield new
            for file in filter(Path.is_file, new.rglob("*")):
                _flush_to_disk(file)
            with suppress(FileNotFoundError):
                folder.rename(Path(temporary, "old"))
            try:
                new.replace(folder)
            except OSError:
                if not folder.exists():
                    raise


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
