"""Checksums beside files, in the format of coreutils: `sha256sum -c SHA256SUMS` in the folder checks them by hand."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def hash_files(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """The digest of each file by its name within the folder."""
    return {file.relative_to(folder).as_posix(): _digest(file) for file in sorted(files)}


def hash_text(content: str) -> str:
    """The digest of a text, as a file of it would have."""
    return hashlib.sha256(content.encode()).hexdigest()


def format_checksums(sums: Mapping[str, str]) -> str:
    """The content of a `SHA256SUMS`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def find_damaged_files(folder: Path, names: Collection[str] | None = None) -> list[str]:
    """The names of the files that are not what was written, or are gone; nothing where nobody kept sums.

    Args:
        names: the files to check; all unless given.
    """
    try:
        kept = [line.split("  ", 1) for line in (folder / CHECKSUMS).read_text("utf-8").splitlines()]
        return [name for digest, name in kept if (names is None or name in names) and _differs(folder / name, digest)]
    except FileNotFoundError:
        return []
    except ValueError:  # not text, or a line that is no sum
        return [CHECKSUMS]


def _differs(file: Path, digest: str) -> bool:
    return not file.is_file() or _digest(file) != digest


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
