"""Text that shows what is in it.

Data and model output may hold characters that move a cursor, colour a terminal or turn the reading direction round.
None of them may act in a report, and none may vanish from it: a prediction is evidence.
"""

import unicodedata

PLAIN_WHITESPACE = "\n\t"


def visible(text: str) -> str:
    """`text` with every control character, formatting character and line separator replaced by a sign for it."""
    return text.translate(_SIGNS)


def beginning(text: str, characters: int) -> str:
    """As much of a text as is shown of it, and how much there is besides: a row may have ten million characters."""
    left = len(text) - characters
    return text if left <= 0 else f"{text[:characters]} … ({left:,} more characters)"


class _Signs(dict[int, str]):
    """A table for `str.translate` that fills itself, one character at a time."""

    def __missing__(self, code: int) -> str:
        self[code] = _visible_character(chr(code))
        return self[code]


_SIGNS = _Signs()


def _visible_character(character: str) -> str:
    code = ord(character)
    if character in PLAIN_WHITESPACE or character in "\u200c\u200d":  # joiners: words of Persian and Hindi need them
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # ␛ for escape
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return f"⟨U+{code:04X}⟩"
    return character
