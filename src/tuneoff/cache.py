"""Where converted weights and tokens are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`TUNEOFF_CACHE`, or `tuneoff` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TUNEOFF_CACHE") or Path(base) / "tuneoff").expanduser()
