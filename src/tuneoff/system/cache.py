"""The cache of converted models, tokens and hidden states. Checksums protect what is in it."""

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files, format_checksums, hash_files

HIDDEN_STATES_MAX_BYTES = 4 * 2**30  # of all their files; beyond that, the least recently used are removed
_LOG = logging.getLogger(__name__)


def get_cache_folder() -> Path:
    """Return `TUNEOFF_CACHE`, or the folder `tuneoff` in the user's cache folder."""
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TUNEOFF_CACHE") or Path(user_cache) / "tuneoff").expanduser()


def write_cache_checksums(folder: Path, files: Iterable[Path]) -> None:
    """Write the checksums of these files, which marks a cache folder as complete."""
    write_atomically(folder / CHECKSUMS, format_checksums(hash_files(files, folder)))


def check_cache_folder(folder: Path) -> bool:
    """Return whether a cache folder is complete and undamaged. A damaged folder is emptied, with a warning.

    A folder without checksums is incomplete, or was written by a version that had none.
    """
    if not (folder / CHECKSUMS).is_file():
        return False
    damaged = find_damaged_files(folder)
    if damaged:
        _LOG.warning("%s is damaged. It was removed and is made again.", folder / damaged[0])
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    return not damaged
