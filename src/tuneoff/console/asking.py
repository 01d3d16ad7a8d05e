"""Ask the user a question, where there is a terminal to ask on."""

import sys
from pathlib import Path

from tuneoff.report.escape import escape_control

TERMINAL = Path("/dev/tty")  # not standard input, which is the supervisor's pipe


def ask_on_terminal(question: str) -> bool:
    """Print the question on the terminal, and return whether the answer is yes; False without a terminal."""
    if not sys.stderr.isatty():  # output goes to a file, so nobody would see the question
        return False
    try:
        with TERMINAL.open("r+b", buffering=0) as terminal:
            terminal.write(escape_control(question).encode())
            return terminal.readline().strip().lower() in {b"y", b"yes"}
    except OSError:
        return False
