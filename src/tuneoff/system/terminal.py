"""Output to a terminal or file whose encoding does not have every character."""

from __future__ import annotations

import codecs
import sys
from typing import TextIO

PLAIN = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "‑": "-", "×": "x", "·": "|", "≈": "~", "…": "...", "±": "+", "→": "->", "↑": "^",
        "↓": "v", "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " ", "≤": "<=", "≥": ">=", "µ": "u",
        **dict.fromkeys("─━╸╺╴╶┄┈", "-"), **dict.fromkeys("│┃┆┊", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╇╈╋┏┓┗┛┣┫┳┻", "+"),
        **dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏•", "*"),
    }
)  # fmt: skip
HANDLER = "tuneoff-plain"


def accept_every_character() -> None:
    """Have standard output and error write a similar character, or else its code, where their encoding lacks one.

    Those of tables have the same width, so that columns stay aligned.
    """
    codecs.register_error(HANDLER, _write_plainly)
    for stream in (sys.stdout, sys.stderr):
        accept_every_character_in(stream)


def accept_every_character_in(stream: TextIO) -> None:
    """Do so for one stream, unless it has every character or cannot be changed."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-")
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure and encoding not in {"utf-8", "utf8"}:
        codecs.register_error(HANDLER, _write_plainly)
        reconfigure(errors=HANDLER)


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
