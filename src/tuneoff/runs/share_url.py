"""The URL through which machines without a shared folder agree on a run, such as `s3://bucket/mine`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from tuneoff.errors import RunError
from tuneoff.system.cache import get_cache_folder

_URL = re.compile(r"[a-zA-Z][\w+.-]*://")
OF_ONE_PROCESS = {"memory", "data"}  # which no other machine sees


def is_url(place: str) -> bool:
    """Return whether this is a URL and not the path of a folder."""
    return _URL.match(place) is not None


def read_url(text: str) -> str:
    """Return a URL without a slash at its end.

    Raises:
        RunError: it is none, or has a password or options in it. The message does not repeat those.
    """
    if not is_url(text):
        raise RunError(
            f"{text} is not a URL. Write one such as s3://BUCKET/NAME or file:///shared/NAME. Where all machines see "
            "the same folder, name a run directory in it with --run instead."
        )
    parts = urlsplit(text)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if ":" in parts.netloc.rpartition("@")[0] or parts.query or parts.fragment:
        raise RunError(
            f"The URL {place} was given with a password or options. Others can read a command line, so give these to "
            "the store by its environment variables, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if "::" in text or parts.scheme in OF_ONE_PROCESS:
        raise RunError(
            f"{place} is a place that other machines do not see as it is. Write a URL such as s3://BUCKET/NAME."
        )
    if not parts.path.strip("/"):
        raise RunError(f"{place} names no place for this run. Add a name, such as {text.rstrip('/')}/mine.")
    return text.rstrip("/")


def get_scratch_folder(url: str) -> Path:
    """Return the folder of this machine for the files of trials that run here and belong to a run at this URL."""
    return get_cache_folder() / "shares" / hashlib.sha256(url.encode()).hexdigest()[:16]
