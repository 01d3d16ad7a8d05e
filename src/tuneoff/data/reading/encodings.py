"""Which encoding a text file has, with a reason, so that no character is read as another without a word.

UTF-8 is certain if it fits, and so is a byte order mark. For the rest charset-normalizer compares encodings, but it
ranks cp1257 over cp1252 for French with curly quotes. We therefore take cp1252 wherever its text is plausible
for a Western language, and refuse where several encodings fit about as well and give different texts.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuneoff.errors import DataError

BLOCK_BYTES = 2**20
SAMPLE_BYTES = 2**16  # of lines with characters beyond ASCII
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
CANDIDATES = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "iso8859_2", "koi8_r", "mac_roman",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
MAX_MESS, MESS_MARGIN, COHERENCE_MARGIN = 0.2, 0.05, 0.1
MAX_ACCENTED = 0.3  # share of the letters in lines with any; 0.1 in French, 1 in Cyrillic read as cp1252

# what no Western text has: a symbol inside a word, or an accented capital after a small letter
_IMPLAUSIBLE = re.compile(r"[^\W\d_][¡-©«-´¶¸-¿×÷†‡ˆ‰‹›•˜™¤]+[^\W\d_]|[a-zß-öø-ÿ][À-ÖØ-ÞŠŽŒŸ]")
_ICELANDIC = re.compile("[ýþðÝÞÐ]")  # where Turkish has ı, ş and ğ in its encoding


@dataclass(frozen=True)
class Encoding:
    """The name of an encoding, and a sentence for the user if it is an assumption."""

    name: str
    note: str | None = None


def find_encoding(path: Path, place: str, given: str | None = None) -> Encoding:
    """Return the encoding of a text file.

    Args:
        given: the encoding that the recipe names; it is only checked.

    Raises:
        DataError: the file is not text, or no encoding is certain enough.
    """
    if given:
        return _check_given(path, place, given)
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
    for mark, name in MARKS:
        if head.startswith(mark):
            return _check(path, place, Encoding(name))
    if b"\0" in head:
        return _find_wide(path, place, head)
    offset = _find_undecodable(path, "utf-8")
    return Encoding("utf-8") if offset is None else _detect(path, place, offset)


def find_undecodable_line(path: Path, encoding: str) -> int | None:
    """Return the number of the first line that does not decode; None if all do."""
    offset = _find_undecodable(path, encoding)
    return None if offset is None else _count_lines(path, offset)


def _check_given(path: Path, place: str, given: str) -> Encoding:
    try:
        codecs.lookup(given)
    except LookupError:
        raise DataError(f"data.encoding: {given!r} is not known. Examples: utf-8, cp1252, utf-16, shift_jis.") from None
    is_utf_8 = codecs.lookup(given).name == "utf-8"
    return _check(path, place, Encoding("utf-8-sig" if is_utf_8 else given))  # "sig": a mark is no text


def _check(path: Path, place: str, encoding: Encoding) -> Encoding:
    line = find_undecodable_line(path, encoding.name)
    if line is not None:
        raise DataError(
            f"{place}, line {line}: not {encoding.name.removesuffix('-sig')}. Correct the line, or name the right "
            "encoding: data.encoding: NAME."
        )
    return encoding


def _find_wide(path: Path, place: str, head: bytes) -> Encoding:
    """Recognize UTF-16 and UTF-32 without a mark: text in them decodes to characters that are mostly printable."""
    for name in WIDE:
        text = head[: len(head) // 4 * 4].decode(name, errors="replace")
        good = sum(character.isprintable() or character in "\t\r\n" for character in text)
        ascii_share = sum(character < "\x80" for character in text) / max(1, len(text))
        if good > 0.99 * len(text) and ascii_share > 0.3 and "\ufffd" not in text[:-1]:
            return _check(path, place, Encoding(name, f"{place} has no byte order mark; it was read as {name}."))
    raise DataError(
        f"{place} is not text: it contains zero bytes, and no known format begins like it. Give a CSV, TSV, JSON, "
        "JSON lines, Parquet, Arrow, Excel or text file."
    )


def _detect(path: Path, place: str, offset: int) -> Encoding:
    line, sample = _count_lines(path, offset), _sample_lines(path)
    where = f"{place} is not UTF-8 (line {line}, byte {offset})"
    broken = sample.decode("utf-8", errors="replace")
    whole = sum(character > "\x7f" for character in broken) - broken.count("\ufffd")
    if whole >= broken.count("\ufffd"):
        raise DataError(
            f"{where}, but nearly all of it is, so it is damaged there, or put together from files with different "
            "encodings. Correct or remove the line."
        )
    if _looks_binary(sample):
        raise DataError(
            f"{where}, and it is not text: it contains control characters, and no known format begins like it. Give a "
            "CSV, TSV, JSON, JSON lines, Parquet, Arrow, Excel or text file."
        )
    ranked = _rank(sample)
    name = _choose(sample, ranked)
    if name is None:
        fitting = " and ".join(list(dict.fromkeys(name for name, *_ in ranked))[:3])
        fit = f"{fitting} fit about as well" if ranked else "no encoding fits"
        example = ranked[0][0] if ranked else "cp1252"
        raise DataError(
            f"{where}, and {fit}. Name its encoding, for example data.encoding: {example}, or save it as UTF-8."
        )
    note = (
        f"{place} is not UTF-8. It was read as {name}; if letters look wrong, name its encoding: data.encoding: NAME."
    )
    return _check(path, place, Encoding(name, note))


def _rank(sample: bytes) -> list[tuple[str, float, float, str]]:
    """Return the encodings that fit, best first: name, mess (0 is best), coherence (1 is best) and text."""
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=list(CANDIDATES), threshold=MAX_MESS)
    return [(match.encoding, match.chaos, match.coherence, str(match)) for match in matches]


def _choose(sample: bytes, ranked: list[tuple[str, float, float, str]]) -> str | None:
    best_coherence = max((coherence for _, _, coherence, _ in ranked), default=0.0)
    western = _decode_western(sample)
    if western:
        name, text = western
        coherence = max((c for _, _, c, other in ranked if other == text), default=best_coherence)
        return None if _ICELANDIC.search(text) or coherence < best_coherence - COHERENCE_MARGIN else name
    if not ranked:
        return None
    name, mess, coherence, text = ranked[0]
    rivals = [
        other
        for _, its_mess, its_coherence, other in ranked[1:]
        if other != text and its_mess <= mess + MESS_MARGIN and its_coherence >= coherence - COHERENCE_MARGIN
    ]
    return None if rivals else name


def _decode_western(sample: bytes) -> tuple[str, str] | None:
    """Decode as cp1252, or as ISO 8859-15 if that explains a euro sign; None if the text is not plausible."""
    names = ("iso8859_15", "cp1252") if b"\xa4" in sample and not re.search(rb"[\x80-\x9f]", sample) else ("cp1252",)
    for name in names:
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        letters = [character for character in text if character.isalpha()]
        accented = sum(character > "\x7f" for character in letters)
        if accented <= MAX_ACCENTED * len(letters) and not _IMPLAUSIBLE.search(text):
            return name, text
    return None


def _looks_binary(sample: bytes) -> bool:
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    return controls > 0.02 * len(sample)


def _find_undecodable(path: Path, encoding: str) -> int | None:
    """Return the offset of the first byte that does not decode; None if all do."""
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeError as error:
                return max(0, read - pending) + getattr(error, "start", 0)
            if not block:
                return None
            read += len(block)


def _count_lines(path: Path, offset: int) -> int:
    """Return the number of the line that a byte is in. Lines may end with CR alone."""
    feeds = returns = 0
    with path.open("rb") as file:
        while offset > 0:
            block = file.read(min(offset, BLOCK_BYTES))
            offset -= len(block)
            feeds, returns = feeds + block.count(b"\n"), returns + block.count(b"\r")
    return 1 + (feeds or returns)


def _sample_lines(path: Path) -> bytes:
    """Return lines with bytes beyond ASCII, up to a limit."""
    parts, size = [], 0
    for line in _iterate_short_lines(path):
        if not line.isascii():
            parts.append(line)
            size += len(line)
            if size > SAMPLE_BYTES:
                break
    return b"".join(parts)


def _iterate_short_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(SAMPLE_BYTES):
            yield line
