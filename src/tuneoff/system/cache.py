"""Where converted weights and tokens are kept between runs, each in a folder with checksums."""

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tuneoff.system.atomic_write import write_whole
from tuneoff.system.checksums import SUMS, damaged, sums_in_words, sums_of

_LOG = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`TUNEOFF_CACHE`, or `tuneoff` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TUNEOFF_CACHE") or Path(base) / "tuneoff").expanduser()


def keep_sums(folder: Path, files: Iterable[Path]) -> None:
    """Say that these files are all of the folder, and what they hold."""
    write_whole(folder / SUMS, sums_in_words(sums_of(files, folder)))


def is_kept(folder: Path) -> bool:
    """Whether all of a folder is there as it was written; what is damaged is removed, with a message.

    A folder without sums is not complete, or of a time before there were any: it counts as not there.
    """
    if not (folder / SUMS).is_file():
        return False
    wrong = damaged(folder)
    if wrong:
        _LOG.warning("%s is damaged: it is removed, and made again.", folder / wrong[0])
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    return not wrong
