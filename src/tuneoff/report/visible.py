"""Text that shows what is in it.

Data and model output may hold characters that move a cursor, colour a terminal or turn the reading direction round.
None of them may act in a report, and none may vanish from it: a prediction is evidence.
"""

import unicodedata

PLAIN_WHITESPACE = "\n\t"


def visible(text: str) -> str:
    """`text` with every control character, formatting character and line separator replaced by a sign for it."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    code = ord(character)
    if character in PLAIN_WHITESPACE or character in "\u200c\u200d":  # joiners: words of Persian and Hindi need them
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # ␛ for escape
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return f"⟨U+{code:04X}⟩"
    return character
