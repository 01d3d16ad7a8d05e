"""Where converted weights and tokens are kept between runs, each in a folder with checksums."""

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files, format_checksums, hash_files

_LOG = logging.getLogger(__name__)


def get_cache_folder() -> Path:
    """`TUNEOFF_CACHE`, or `tuneoff` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TUNEOFF_CACHE") or Path(base) / "tuneoff").expanduser()


def write_cache_checksums(folder: Path, files: Iterable[Path]) -> None:
    """Say that these files are all of the folder, and what they hold."""
    write_atomically(folder / CHECKSUMS, format_checksums(hash_files(files, folder)))


def is_intact(folder: Path) -> bool:
    """Whether all of a folder is there as it was written; what is damaged is removed, with a message.

    A folder without sums is not complete, or of a time before there were any: it counts as not there.
    """
    if not (folder / CHECKSUMS).is_file():
        return False
    wrong = find_damaged_files(folder)
    if wrong:
        _LOG.warning("%s is damaged: it is removed, and made again.", folder / wrong[0])
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    return not wrong
