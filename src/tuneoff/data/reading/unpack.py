"""Files as they are once unpacked: gzip, bzip2, xz, Zstandard and zip are recognized by their content.

An archive of a few kilobytes can unpack to more than any disk holds, so there are limits.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tuneoff.errors import DataError, TuneoffError
from tuneoff.system.cache import get_cache_folder
from tuneoff.system.full_disk import explain_full_disk

FREE_BYTES = 2**30  # may be unpacked whatever the size of the packed file
MAX_RATIO = 100  # beyond that, as a multiple of the packed file
MAX_MEMBERS = 10_000
BLOCK_BYTES = 2**20
ZSTANDARD_BYTES = 2**11  # packed; unpacked at once, they are 64 MiB at most
Unpacker = Callable[[Path], Iterator[bytes]]
PACKED_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd", ".zip")
# members that make a zip file a document and not an archive
DOCUMENTS = ("[Content_Types].xml", "mimetype", "data.pkl", "META-INF/MANIFEST.MF")


@dataclass(frozen=True)
class Item:
    """A file, or one member of a zip archive."""

    path: Path
    member: str | None = None

    @property
    def place(self) -> str:
        """How messages name it."""
        return str(self.path) if self.member is None else f"{self.path}, {self.member}"

    @property
    def name(self) -> str:
        """The name without the suffixes of packed files, in small letters."""
        name = PurePosixPath(self.member or self.path.name).name.lower()
        while name.endswith(PACKED_SUFFIXES):
            name = name.rsplit(".", 1)[0]
        return name


def require_file(path: Path) -> None:
    """
    Raises:
        DataError: `path` is not a regular file that can be read, or is empty. Pipes and devices may never end.
    """
    try:
        status = path.stat()
        kind = _describe_kind(status.st_mode)
        if kind is None and not os.access(path, os.R_OK):
            raise PermissionError("you may not read it")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Relative paths start from {Path.cwd()}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if kind:
        raise DataError(f"{path} is {kind}, not a file. Relative paths start from {Path.cwd()}. Give a regular file.")
    if status.st_size == 0:
        raise DataError(f"{path} is empty. Give a file with at least one row.")


def list_members(path: Path) -> list[Item]:
    """Return the file itself, or the files in it if it is a zip archive.

    Raises:
        DataError: the archive is damaged, empty, encrypted or has too many members.
    """
    require_file(path)
    with _explain_unreadable(str(path)):
        if not any(_starts_with(path, mark) for mark in (b"PK\x03\x04", b"PK\x05\x06")) or not zipfile.is_zipfile(path):
            return [Item(path)]
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    if any(member.filename in DOCUMENTS or member.filename.endswith("/data.pkl") for member in members):
        return [Item(path)]
    files = [m for m in members if not m.is_dir() and not _is_hidden(m.filename) and m.file_size]
    if not files:
        raise DataError(f"{path} is a zip archive without a file that has content. Give an archive with data in it.")
    if len(files) > MAX_MEMBERS:
        raise DataError(
            f"{path} has {len(files):,} members; the limit is {MAX_MEMBERS:,}. Put the rows into fewer files."
        )
    if any(member.flag_bits & 1 for member in files):
        raise DataError(f"{path} is encrypted. Unpack it with its password first.")
    return [Item(path, member.filename) for member in sorted(files, key=lambda member: member.filename)]


@contextmanager
def unpack(item: Item) -> Iterator[Path]:
    """Give a plain file with the content of an item inside the block: the file itself, or an unpacked copy.

    Raises:
        DataError: the content is damaged, or too large once unpacked.
    """
    require_file(item.path)
    if item.member is None and _find_unpacker(item.path) is None:
        yield item.path
        return
    folder = get_cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="unpacked-") as work:
        path = item.path
        for layer in range(3):  # a packed file in an archive has two
            unpacker = _find_member_unpacker(item) if layer == 0 and item.member else _find_unpacker(path)
            if unpacker is None:
                break
            copy = Path(work) / str(layer)
            _copy_unpacked(unpacker, path, copy, item)
            path = copy
        if path.stat().st_size == 0:
            raise DataError(f"{item.place} is empty once unpacked. Give a file with at least one row.")
        yield path


def check_document_size(path: Path, place: str) -> None:
    """Read a document that is a zip archive, such as a workbook, to the end, without keeping it.

    Raises:
        DataError: it is damaged, or too large once unpacked.
    """
    limit = compute_limit(path)
    with _explain_unreadable(place), zipfile.ZipFile(path) as archive:
        read = 0
        for member in archive.infolist():
            with archive.open(member) as file:
                while block := file.read(BLOCK_BYTES):
                    read += len(block)
                    _require_within(read, limit, place)


def compute_limit(path: Path) -> int:
    """Return how many bytes a packed file may unpack to."""
    return max(FREE_BYTES, MAX_RATIO * path.stat().st_size)


def _copy_unpacked(unpacker: Unpacker, path: Path, copy: Path, item: Item) -> None:
    limit, written = compute_limit(item.path), 0
    with _explain_unreadable(item.place), explain_full_disk(copy), copy.open("wb") as file:
        for block in unpacker(path):
            written += file.write(block)
            _require_within(written, limit, item.place)


def _require_within(size: int, limit: int, place: str) -> None:
    if size > limit:
        raise DataError(
            f"{place} unpacks to more than {limit / 2**30:,.1f} GiB, the limit for a file of its size. If that is "
            "meant, unpack it first and give the unpacked file."
        )


def _find_unpacker(path: Path) -> Unpacker | None:
    """Return the function that unpacks a packed file, by its first bytes; None if it is not packed."""
    unpackers: dict[bytes, Unpacker] = {
        b"\x1f\x8b": lambda path: _iterate_blocks(gzip.open(path)),  # noqa: SIM115
        b"BZh": lambda path: _iterate_blocks(bz2.open(path)),  # noqa: SIM115
        b"\xfd7zXZ\x00": lambda path: _iterate_blocks(lzma.open(path)),  # noqa: SIM115
        b"\x28\xb5\x2f\xfd": _iterate_zstandard,
    }
    return next((unpacker for mark, unpacker in unpackers.items() if _starts_with(path, mark)), None)


def _iterate_blocks(packed: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    with packed:
        while block := packed.read(BLOCK_BYTES):
            yield block


def _find_member_unpacker(item: Item) -> Unpacker:
    return lambda path: _iterate_member(path, item.member or "")


def _iterate_member(path: Path, member: str) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive:
        yield from _iterate_blocks(archive.open(member))


def _iterate_zstandard(path: Path) -> Iterator[bytes]:
    """Yield the content of all frames. The library's own file reader takes a cut file for a whole one."""
    import zstandard

    decoder, is_between_frames = zstandard.ZstdDecompressor().decompressobj(), True
    with path.open("rb") as file:
        while block := file.read(ZSTANDARD_BYTES):
            while block:
                yield decoder.decompress(block)
                is_between_frames, block = decoder.eof, decoder.unused_data
                if is_between_frames:
                    decoder = zstandard.ZstdDecompressor().decompressobj()
    if not is_between_frames:
        raise EOFError("it ends before its end is marked")


def _starts_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _is_hidden(member: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member).parts)


def _describe_kind(mode: int) -> str | None:
    """Say what a path is if it is not a regular file."""
    if stat.S_ISREG(mode):
        return None
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


@contextmanager
def _explain_unreadable(place: str) -> Iterator[None]:
    import zstandard

    damaged = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError)
    try:
        yield
    except TuneoffError:
        raise
    except (*damaged, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{place} cannot be read: {error}. Check that the file is complete and that you may read it."
        ) from error
