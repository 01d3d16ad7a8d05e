"""The scripts of texts, which decide how a metric divides them into words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from tuneoff.config.metrics import Tokenizer

NO_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "BOPOMOFO", "YI SYLLABLE")
MOST_DROPPED = 0.05  # of the letters, by the tokenizer for English; German, French and Spanish have fewer
ENOUGH = 0.2  # of the letters in scripts without spaces; Japanese text may be half of Latin words


def choose_tokenizer(references: Iterable[str]) -> Tokenizer:
    """Return the tokenizer for texts like these: for English, by Unicode words, or by characters.

    English is also the choice for other languages in Latin script, whose numbers are then those that others publish,
    unless accents take many of their letters away.
    """
    letters = [character for text in references for character in text if character.isalpha()]
    if not letters:
        return "english"
    if sum(map(_has_no_spaces, letters)) > ENOUGH * len(letters):
        return "characters"
    return "words" if compute_dropped_share(letters) > MOST_DROPPED else "english"


def compute_dropped_share(references: Iterable[str]) -> float:
    """Return the share of the letters that the tokenizer for English drops; zero without letters."""
    letters = [character for text in references for character in text if character.isalpha()]
    return sum(not letter.isascii() for letter in letters) / len(letters) if letters else 0.0


def has_spaces(text: str) -> bool:
    """Return whether words in the text are separated by spaces, as far as its letters show it."""
    return not any(map(_has_no_spaces, text))


def _has_no_spaces(character: str) -> bool:
    return not character.isascii() and unicodedata.name(character, "").startswith(NO_SPACES)
