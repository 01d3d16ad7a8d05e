"""Checksum files in the format of coreutils: `sha256sum -c SHA256SUMS` in the folder checks them by hand."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

CHECKSUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def hash_files(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by its path within the folder."""
    return {file.relative_to(folder).as_posix(): _hash_file(file) for file in sorted(files)}


def hash_text(content: str) -> str:
    """Return the SHA-256 of a UTF-8 file with this content."""
    return hash_bytes(content.encode())


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of a file with this content."""
    return hashlib.sha256(content).hexdigest()


def format_checksums(checksums: Mapping[str, str]) -> str:
    """Return the content of a `SHA256SUMS` file, from checksums by file name."""
    return "".join(f"{checksum}  {name}\n" for name, checksum in checksums.items())


def read_checksums(folder: Path) -> dict[str, str] | None:
    """Return the checksums of the files in a folder by their names; None without `SHA256SUMS`.

    Raises:
        ValueError: `SHA256SUMS` cannot be read, is empty, or has a line that is no checksum.
    """
    try:
        lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:  # such as a folder of this name
        raise ValueError(f"{CHECKSUMS} cannot be read: {error.strerror}") from None
    entries = [_LINE.fullmatch(line) for line in lines]
    if not entries or None in entries:
        raise ValueError(f"{CHECKSUMS} is empty, or has a line that is no checksum")
    return {entry[2]: entry[1] for entry in entries if entry}


def find_damaged_files(
    folder: Path,
    names: Collection[str] | None = None,
    *,
    required: Collection[str] = (),
    hashes: Mapping[str, str | None] | None = None,
) -> list[str]:
    """Return the names of files that are missing or do not match their checksum. Without `SHA256SUMS`, return none.

    Args:
        names: the files to check; None checks all that have a checksum.
        required: files that must have a checksum, so that a shortened `SHA256SUMS` checks no less.
        hashes: the SHA-256 of files that were read already, None for one that is not there.
    """
    hashes = hashes or {}
    try:
        checksums = read_checksums(folder)
    except ValueError:
        return [CHECKSUMS]
    if checksums is None:
        return []
    if not checksums.keys() >= set(required):
        return [CHECKSUMS]
    return [
        name
        for name, checksum in checksums.items()
        if (names is None or name in names)
        and not (hashes[name] == checksum if name in hashes else _matches(folder / name, checksum))
    ]


def _matches(file: Path, checksum: str) -> bool:
    return file.is_file() and _hash_file(file) == checksum


def _hash_file(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
