"""Text that shows what is in it.

Data and model output may hold characters that move a cursor, colour a terminal or turn the reading direction round.
None of them may act in a report, and none may vanish from it: a prediction is evidence.
"""

import re
import unicodedata

PLAIN_WHITESPACE = "\n\t"
JOINERS = "\u200c\u200d"  # words of Persian and Hindi, and some emoji, need them; beside Latin letters they only hide
LOST_JOINER = re.compile(f"(?<![^\x00-\x7f])[{JOINERS}]|[{JOINERS}](?![^\x00-\x7f])")
BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters and marks by category, and nothing to see


def escape_control(text: str) -> str:
    """`text` with every control character, formatting character and line separator replaced by a sign for it."""
    return LOST_JOINER.sub(lambda found: _sign(found[0]), text).translate(_SIGNS)


def truncate(text: str, characters: int) -> str:
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
    if character in PLAIN_WHITESPACE or character in JOINERS:
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # ␛ for escape
    if character in BLANK or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return _sign(character)
    return character


def _sign(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"
