"""What a file is, by its content. Names are misleading: gzip is called .jsonl, and a workbook .csv.

The name only decides where the content leaves a choice: text with one comma in each line is a table if it is called
.csv, and prose if it is called .txt.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tuneoff.data.reading.columns import find_column
from tuneoff.data.reading.encodings import find_encoding
from tuneoff.data.reading.separated import Dialect, find_dialect, read_header
from tuneoff.errors import DataError

Kind = Literal["parquet", "arrow", "workbook", "json", "separated", "text"]

HEAD_BYTES = 4096
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of Excel 97, and of Word and PowerPoint of its time
PROSE_SUFFIXES = (".txt", ".text", ".md", ".rst")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
BINARY_SUFFIXES = (".parquet", ".arrow", ".feather", ".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonlines")

_USES = {
    "pickle": "Pickled files can run code, so they are never read. Save the rows as JSON lines or Parquet.",
    "convert": "Export its rows as CSV, JSON lines or Parquet.",
    "unpack": "Unpack it, and give the files in it.",
    "text": "Export its text as .txt, or as rows of JSON lines.",
}
FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF document", "text"),
    (b"{\\rtf", "an RTF document", "text"),
    (b"\x89PNG", "a PNG picture", "convert"),
    (b"\xff\xd8\xff", "a JPEG picture", "convert"),
    (b"GIF8", "a GIF picture", "convert"),
    (b"\x7fELF", "a program", "convert"),
    (b"SQLite format 3\0", "an SQLite database", "convert"),
    (b"\x89HDF", "an HDF5 file", "convert"),
    (b"\x93NUMPY", "a NumPy array", "convert"),
    (b"Obj\x01", "an Avro file", "convert"),
    (b"ORC", "an ORC file", "convert"),
    (b"FEA1", "a Feather file of version 1", "convert"),
    (b"RIFF", "a sound or a picture", "convert"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack"),
    (b"\x04\x22\x4d\x18", "an LZ4 file", "unpack"),
    (b"\x80\x02", "a pickled object", "pickle"),
    (b"\x80\x03", "a pickled object", "pickle"),
    (b"\x80\x04", "a pickled object", "pickle"),
    (b"\x80\x05", "a pickled object", "pickle"),
)
_HTML = re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml")
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """What a file is; for text also how it is encoded, and for separated values their dialect."""

    kind: Kind
    encoding: str = "utf-8"
    dialect: Dialect | None = None
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say in words what the file is."""
        names = {"parquet": "Parquet", "arrow": "Arrow", "workbook": "workbook", "json": "JSON", "text": "plain text"}
        if self.dialect is not None:
            separators = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "vertical bars"}
            names["separated"] = f"separated by {separators.get(self.dialect.separator, repr(self.dialect.separator))}"
        is_text = self.kind in ("json", "text", "separated")
        return f"{names[self.kind]}, {self.encoding.removesuffix('-sig')}" if is_text else names[self.kind]


def recognize(path: Path, place: str, name: str, wanted: Sequence[str] = (), encoding: str | None = None) -> Recognized:
    """Recognize an unpacked file.

    Args:
        name: of the file, in small letters, or a suffix that says what the recipe takes it for.
        wanted: the columns that the recipe names; a header that has one is a header.
        encoding: that the recipe names.

    Raises:
        DataError: it is none of the known formats. The message says what it is, and what to do.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return Recognized(kind="parquet")
    if head.startswith((b"ARROW1\0\0", b"\xff\xff\xff\xff")) and not head.startswith(b"\xff\xff\xff\xff\xff"):
        return Recognized(kind="arrow")
    if head.startswith(b"PK\x03\x04"):
        return _recognize_document(path, place)
    if head.startswith(OLE):
        return Recognized(kind="workbook")
    _refuse_foreign(place, head)
    found = find_encoding(path, place, encoding)
    notes = (found.note,) if found.note else ()
    kind, dialect = _recognize_text(path, found.name, name, wanted, place)
    if kind == "text" and name.endswith(BINARY_SUFFIXES):
        raise DataError(f"{place} is plain text, not what its name or the recipe says. Give the right file.")
    return Recognized(kind=kind, encoding=found.name, dialect=dialect, notes=notes)


def _recognize_text(
    path: Path, encoding: str, name: str, wanted: Sequence[str], place: str
) -> tuple[Kind, Dialect | None]:
    with path.open(encoding=encoding) as file:
        head = file.read(HEAD_BYTES).lstrip()
    is_table = name.endswith(TABLE_SUFFIXES)
    if head[:1] in ("[", "{") and (name.endswith(JSON_SUFFIXES) or _begins_with_json(head)):
        return "json", None
    dialect = find_dialect(path, encoding, name)
    if is_table:
        return "separated", dialect
    header = read_header(path, encoding, dialect)
    is_named = any(find_column(column, header, place) for column in wanted)
    if (
        dialect.is_consistent
        and dialect.fields > 1
        and (is_named or not name.endswith((*PROSE_SUFFIXES, *JSON_SUFFIXES)))
    ):
        return "separated", dialect
    if name.endswith(JSON_SUFFIXES):
        return "json", None
    if is_named or (dialect.separator == "\t" and dialect.is_consistent and dialect.fields > 1):
        return "separated", dialect
    return "text", None


def _begins_with_json(head: str) -> bool:
    """Return whether the beginning of a text that starts with a bracket is JSON, as far as it goes."""
    try:
        json.JSONDecoder().raw_decode(head)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated string") or (error.pos > 1 and error.pos >= len(head) - 12)
    except (ValueError, RecursionError):
        return False
    return True


def _recognize_document(path: Path, place: str) -> Recognized:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = archive.read("mimetype")[:80].decode("latin1") if "mimetype" in names else ""
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{place} is a damaged zip archive or workbook: {error}. Get it again.") from None
    if any(name.startswith("xl/") for name in names) or kind.endswith("opendocument.spreadsheet"):
        return Recognized(kind="workbook")
    if any(name.endswith("data.pkl") for name in names):
        raise DataError(f"{place} is a file of PyTorch. {_USES['pickle']}")
    if any(name.startswith(("word/", "ppt/")) for name in names) or kind:
        raise DataError(f"{place} is a document, not a table. {_USES['text']}")
    raise DataError(f"{place} is an archive in an archive. {_USES['unpack']}")


def _refuse_foreign(place: str, head: bytes) -> None:
    for mark, what, cure in FOREIGN:
        if head.startswith(mark):
            raise DataError(f"{place} is {what}. {_USES[cure]}")
    if head[257:262] == b"ustar":
        raise DataError(f"{place} is a tar archive. {_USES['unpack']}")
    if _HTML.match(head):
        raise DataError(f"{place} is an HTML page, perhaps the error page of a download. {_USES['text']}")
    if _XML.match(head):
        raise DataError(f"{place} is an XML document. {_USES['convert']}")
    if head.startswith(_LFS):
        raise DataError(f"{place} is a pointer of Git LFS, not the data. Run: git lfs pull")
