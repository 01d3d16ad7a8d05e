"""A store of objects: what processes without a shared folder need of one, on top of any file system of fsspec.

Nothing is asked of a store but to put, get, list and remove whole objects, and to create one that is not there yet. The
last must be one step of the store itself, such as S3's `If-None-Match: *`: a look followed by a write would let two
workers own a trial. Whether it is one is tried before anything rests on it.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, final

from tuneoff.errors import RunError
from tuneoff.runs.redaction import redact

RETRY_SECONDS = 60.0  # for an operation that fails, in all
START_SECONDS = 5.0  # the same, until the store has answered for the first time
WAIT_SECONDS = (0.2, 10.0)  # between two tries: the first time, and at most
AT_ONCE = 8  # that try to create one object
PROBES = "probes"  # the folder of the objects with which exclusive creation is tried
MOST_BYTES = 2**26  # of an object that is read whole into memory
# Trying again does not help against these.
FINAL = (FileNotFoundError, PermissionError, NotImplementedError, IsADirectoryError, NotADirectoryError, TypeError)
PACKAGES = {"s3": "pip install 's3fs>=2025.7'", "gs": "pip install gcsfs", "abfs": "pip install adlfs"}

T = TypeVar("T")


class StoreError(RunError):
    """A store does not do what it is asked for."""


@final
class Store:
    """The objects under a URL. Names are relative to it. Threads may use one store at the same time.

    Args:
        files: a file system of fsspec; Any: it ships no types.
        root: the path of the URL there.
        url: for messages.
    """

    def __init__(self, files: Any, root: str, url: str) -> None:
        self._files, self._root, self.url = files, root.rstrip("/"), url
        self.retry_seconds = START_SECONDS

    def read(self, name: str) -> bytes | None:
        """Read a small object that is not empty; None if it is not there."""
        return self._repeat("read", name, lambda: self._read(name))

    def write(self, name: str, content: bytes) -> None:
        """Put an object, in the place of one that is there."""
        self._repeat("write", name, lambda: self._files.pipe_file(self._locate(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Create an object. Return False if it is there.

        Args:
            content: not empty, and unlike what anyone else would write: if an answer was lost on the way, it says who
                was first.
        """
        return self._repeat("create", name, lambda: self._create(name, content))

    def list_names(self, folder: str) -> list[str]:
        """Return the names in a folder, without it, in their order."""
        return self._repeat("list", folder, lambda: self._list(folder))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        self._repeat("remove", name, lambda: self._remove(name))

    def remove_folder(self, folder: str) -> None:
        """Remove all objects in a folder that has no folders."""
        for name in self.list_names(folder):
            self.remove(f"{folder}/{name}")
        with contextlib.suppress(OSError, NotImplementedError):  # in a store of objects no folder is left
            self._files.rmdir(self._locate(folder))

    def upload(self, file: Path, name: str) -> None:
        """Put a file."""
        self._repeat("write", name, lambda: self._files.put_file(str(file), self._locate(name)))

    def download(self, name: str, file: Path) -> bool:
        """Get an object into a file. Return False if it is not there. The file may then be there in part."""
        return self._repeat("read", name, lambda: self._download(name, file))

    def require_exclusive(self) -> None:
        """Check that of many who create an object one succeeds. From then on, failures are borne for longer.

        Raises:
            StoreError: the store does not answer, is not there or not permitted, or more than one may succeed.
        """
        name, contents = f"{PROBES}/{secrets.token_hex(8)}", [secrets.token_bytes(16) for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            created = list(pool.map(lambda content: self.create(name, content), contents))
        is_refused_later = not self.create(name, secrets.token_bytes(16))
        is_listed = name.rpartition("/")[2] in self.list_names(PROBES)
        winner = [content for content, is_first in zip(contents, created, strict=True) if is_first]
        is_kept = [self.read(name)] == winner
        self.remove(name)
        if not (is_refused_later and is_kept and is_listed):
            raise StoreError(
                f"The store at {self.url} does not create objects exclusively: {sum(created)} of {AT_ONCE} who created "
                "the same one succeeded, so two workers could own one trial. S3, Google Cloud Storage and Azure can; "
                "of servers that speak S3, newer versions (If-None-Match). Or use a shared folder with --run."
            )
        self.retry_seconds = RETRY_SECONDS

    def _read(self, name: str) -> bytes | None:
        try:
            # a range spares a store the question for the size
            return bytes(self._files.cat_file(self._locate(name), start=0, end=MOST_BYTES))
        except FileNotFoundError:
            return None

    def _create(self, name: str, content: bytes) -> bool:
        try:
            with self._files.open(self._locate(name), "xb") as file:
                file.write(content)
        except Exception:  # file systems name it differently, and an answer may have been lost: what is there decides
            present = self._read(name)
            if present is None:
                raise
            return present == content
        return True

    def _list(self, folder: str) -> list[str]:
        self._files.invalidate_cache()
        path = self._locate(folder)
        try:
            entries = self._files.ls(path, detail=False)
        except FileNotFoundError:
            return []
        names = {entry.rstrip("/").rpartition("/")[2] for entry in entries if entry.rstrip("/") != path}
        return sorted(names)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._locate(name))

    def _download(self, name: str, file: Path) -> bool:
        try:
            self._files.get_file(self._locate(name), str(file))
        except FileNotFoundError:
            return False
        return True

    def _locate(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _repeat(self, verb: str, name: str, act: Callable[[], T]) -> T:
        """Do something with the store, again where it fails and that may help.

        Raises:
            StoreError: it failed for too long, or will not succeed.
        """
        end, (wait, longest) = time.monotonic() + self.retry_seconds, WAIT_SECONDS
        while True:
            try:
                return act()
            except Exception as error:  # every file system has its own
                if isinstance(error, FINAL) or time.monotonic() + wait >= end:
                    raise StoreError(self._explain(verb, name, error)) from error
            time.sleep(wait * random.uniform(0.5, 1.5))
            wait = min(2 * wait, longest)

    def _explain(self, verb: str, name: str, error: Exception) -> str:
        reason = redact(" ".join(f"{type(error).__name__}: {error}".split()))
        what = f"Cannot {verb} {self.url}/{name} ({reason})."
        if isinstance(error, PermissionError):
            return f"{what} The key needs permission to read, write, list and remove objects there."
        if isinstance(error, FileNotFoundError):
            return f"{what} Create the bucket first, or correct its name."
        if isinstance(error, NotImplementedError | TypeError):
            return f"{what} This kind of store cannot be used. Write a URL such as s3://BUCKET/NAME."
        return f"{what} Check the address, the key in the environment, and the network."


def open_store(url: str) -> Store:
    """Open the store at a URL. Its options, such as keys, come from the environment alone.

    Raises:
        StoreError: there is no such kind of store, or the package for it is not installed.
    """
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    try:
        files, root = url_to_fs(url, use_listings_cache=False)  # other machines change what a listing shows
    except ImportError as error:
        install = PACKAGES.get(protocol, str(error))
        raise StoreError(f"{url} needs a package that is not installed: {install}") from error
    except ValueError as error:
        raise StoreError(
            f"{url} cannot be opened: {redact(str(error))}. There are s3://, gs://, abfs:// and file://, among others."
        ) from error
    if hasattr(files, "auto_mkdir"):
        files.auto_mkdir = True
    return Store(files, root, url)


def require_store(url: str) -> None:
    """Check that the store at a URL can be used, before anything else takes time.

    Raises:
        StoreError: it cannot. The message says why, and what would help.
    """
    open_store(url).require_exclusive()
