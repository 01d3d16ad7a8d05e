"""What counts as usable text, and what is done to it before anything else looks at it."""

import re
import unicodedata

from tuneoff.config.data import Clean
from tuneoff.data.rows import Pair

_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a character; nothing that follows can bear it

TextPair = tuple[str, str]  # source and target, cleaned and not empty


class UnusableRowError(ValueError):
    """A row without text to learn from; the message is the reason. It is counted and left out, never passed on."""


def clean_pair(pair: Pair, clean: Clean) -> TextPair:
    """
    Raises:
        UnusableRowError: the source or the target is not text, or is empty once cleaned.
    """
    return _require_usable("source", pair[0], clean), _require_usable("target", pair[1], clean)


def clean_text(text: str, clean: Clean) -> str:
    """The text in lower case, without punctuation, the white space of its lines collapsed: each where `clean` says so.

    White space comes last, as removing punctuation leaves gaps. Lines stay lines: in a summary they are its sentences,
    and ROUGE-Lsum reads them so.
    """
    if clean.lower:
        text = text.lower()
    if clean.punctuation:
        text = text.translate(_PUNCTUATION)
    if clean.whitespace:
        text = "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))
    return text


def _require_usable(name: str, value: object, clean: Clean) -> str:
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
    """A table for `str.translate` that drops punctuation and fills itself, one character at a time."""

    def __missing__(self, codepoint: int) -> int | None:
        kept = None if unicodedata.category(chr(codepoint)).startswith("P") else codepoint
        self[codepoint] = kept
        return kept


_PUNCTUATION = _Punctuation()
