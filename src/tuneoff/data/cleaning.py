"""Cleaning of text, and which rows are usable. Everything else sees cleaned text only."""

import re
import unicodedata

from tuneoff.config.data import CleaningOptions, ColumnNames
from tuneoff.data.example import Example, Row

_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON allows half of a surrogate pair, which cannot be encoded


class UnusableRowError(ValueError):
    """A row without text to learn from; the message is the reason, and is stored with the data's statistics."""


def build_example(row: Row, fields: ColumnNames, clean: CleaningOptions) -> Example:
    """Build the example of a row.

    Raises:
        UnusableRowError: the source or the target is not text, or is empty after cleaning; or the group is missing.
    """
    return Example(
        source=_require_usable("source", row.get(fields.source), clean),
        target=_require_usable("target", row.get(fields.target), clean),
        columns=row,
        group=None if fields.group is None else clean_group(row.get(fields.group)),
    )


def clean_group(value: object) -> str:
    """Convert the group of a row to text, so that 7, 7.0 and "7" in different files are one group.

    Raises:
        UnusableRowError: the group is missing, or neither text nor a number. Rows without a group must not form one.
    """
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        raise UnusableRowError("group is missing")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnusableRowError(f"group is not text or a number but {type(value).__name__}: {value!r:.40}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def clean_text(text: str, clean: CleaningOptions) -> str:
    """Convert to lower case, remove punctuation and collapse white space, each if `clean` asks for it.

    White space comes last, because removing punctuation leaves gaps. Line breaks stay: ROUGE-Lsum takes each line of a
    summary as a sentence.
    """
    if clean.lower:
        text = text.lower()
    if clean.punctuation:
        text = text.translate(_PUNCTUATION)
    if clean.whitespace:
        text = "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))
    return text


def _require_usable(name: str, value: object, clean: CleaningOptions) -> str:
    if value is None:
        raise UnusableRowError(f"{name} is missing")
    if not isinstance(value, str):
        raise UnusableRowError(f"{name} is not text but {type(value).__name__}: {value!r:.40}")
    text = clean_text(value, clean)
    if not text.strip():
        raise UnusableRowError(f"{name} is empty" if not value.strip() else f"{name} is empty once cleaned")
    if _SURROGATE.search(text):
        raise UnusableRowError(f"{name} holds half of a surrogate pair, which is no character")
    return text


class _Punctuation(dict[int, int | None]):
    """A table for `str.translate` that removes punctuation. It adds each character when it first occurs."""

    def __missing__(self, codepoint: int) -> int | None:
        replacement = None if unicodedata.category(chr(codepoint)).startswith("P") else codepoint
        self[codepoint] = replacement
        return replacement


_PUNCTUATION = _Punctuation()
