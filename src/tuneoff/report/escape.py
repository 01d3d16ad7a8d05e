"""Control characters made visible.

Data and model output may contain characters that move a cursor, color a terminal or reverse the reading direction.
In a report they must have no effect, but they must not disappear either: a prediction is evidence.
"""

import re
import unicodedata

PLAIN_WHITESPACE = "\n\t"
JOINERS = "\u200c\u200d"  # words of Persian and Hindi, and some emoji, need these; next to ASCII they only hide
LOST_JOINER = re.compile(f"(?<![^\x00-\x7f])[{JOINERS}]|[{JOINERS}](?![^\x00-\x7f])")
BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters and marks by category, but invisible


def escape_control(text: str) -> str:
    """Replace every control character, formatting character and line separator with a visible symbol."""
    return LOST_JOINER.sub(lambda match: _format_code_point(match[0]), text).translate(_SYMBOLS)


def truncate(text: str, characters: int) -> str:
    """Truncate a text, which may have millions of characters, and add how many are not shown."""
    hidden = len(text) - characters
    return text if hidden <= 0 else f"{text[:characters]} … ({hidden:,} more characters)"


class _Symbols(dict[int, str]):
    """A table for `str.translate` that adds each character when it is first needed."""

    def __missing__(self, code: int) -> str:
        self[code] = _make_visible(chr(code))
        return self[code]


_SYMBOLS = _Symbols()


def _make_visible(character: str) -> str:
    code = ord(character)
    if character in PLAIN_WHITESPACE or character in JOINERS:
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # ␛ for escape
    if character in BLANK or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return _format_code_point(character)
    return character


def _format_code_point(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"
