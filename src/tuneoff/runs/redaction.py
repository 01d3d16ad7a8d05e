"""Remove secrets from error messages before they are written into a run directory, which is meant to be shared.

The message of an error can quote a token, a password in a URL or the path of the home folder.
"""

import os
import re
from pathlib import Path

HIDDEN = "•••"
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|CREDENTIAL", re.IGNORECASE)  # of an environment variable
MIN_LENGTH = 8  # characters; a shorter value, such as `true`, is no secret and occurs in many words
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
IN_URL_OR_HEADER = re.compile(r"(?<=://)[^/\s@]+(?=@)|(?<=token=)[^&\s]+|(?<=[Bb]earer )\S+")


def redact(text: str) -> str:
    """Return `text` without secrets from the environment, tokens, passwords in URLs, and the home folder's path."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= MIN_LENGTH:
            text = text.replace(value, HIDDEN)
    text = IN_URL_OR_HEADER.sub(HIDDEN, HUB_TOKEN.sub(HIDDEN, text))
    home = str(Path.home())
    return text if home == "/" else re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
