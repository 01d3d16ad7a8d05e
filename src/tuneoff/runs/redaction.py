"""A failure's words may hold what its author never meant to hand on: a token, a password in an address, a home folder.

A run directory is there to be shared, so they are taken out before anything is written into it.
"""

import os
import re
from pathlib import Path

HIDDEN = "•••"
SECRET = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|CREDENTIAL", re.IGNORECASE)  # of an environment variable's name
SHORTEST = 8  # characters: a shorter value, such as `true`, is no secret and is part of many words
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)|(?<=token=)[^&\s]+|(?<=[Bb]earer )\S+")


def redact(text: str) -> str:
    """`text` without secrets of the environment, tokens and passwords in addresses, and the name of the home folder."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    text = IN_ADDRESS.sub(HIDDEN, HUB_TOKEN.sub(HIDDEN, text))
    home = str(Path.home())
    return text if home == "/" else re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
