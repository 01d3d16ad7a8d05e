"""Checksum files in the format of coreutils: `sha256sum -c SHA256SUMS` in the folder checks them by hand."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def hash_files(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by its path within the folder."""
    return {file.relative_to(folder).as_posix(): _hash_file(file) for file in sorted(files)}


def hash_text(content: str) -> str:
    """Return the SHA-256 of a UTF-8 file with this content."""
    return hashlib.sha256(content.encode()).hexdigest()


def format_checksums(checksums: Mapping[str, str]) -> str:
    """Return the content of a `SHA256SUMS` file, from checksums by file name."""
    return "".join(f"{checksum}  {name}\n" for name, checksum in checksums.items())


def find_damaged_files(folder: Path, names: Collection[str] | None = None) -> list[str]:
    """Return the names of files that are missing or do not match their checksum. Without `SHA256SUMS`, return none.

    Args:
        names: the files to check; None checks all that have a checksum.
    """
    try:
        entries = [line.split("  ", 1) for line in (folder / CHECKSUMS).read_text("utf-8").splitlines()]
        selected = [(name, checksum) for checksum, name in entries if names is None or name in names]
    except FileNotFoundError:
        return []
    except ValueError:  # not text, or a line without a checksum
        return [CHECKSUMS]
    return [name for name, checksum in selected if not _matches(folder / name, checksum)]


def _matches(file: Path, checksum: str) -> bool:
    return file.is_file() and _hash_file(file) == checksum


def _hash_file(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
