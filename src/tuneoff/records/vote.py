"""Which of several answers a person preferred."""

from collections.abc import Mapping

from tuneoff.config.base import Options


class Vote(Options):
    """One choice between answers to one prompt, made without knowing who wrote which."""

    time: str  # UTC, ISO 8601
    prompt: str  # what the person asked, or the source of a test example
    row: int | None = None  # of the test split, if the prompt is one of its examples
    answers: Mapping[str, str]  # by arm, in the order in which they were shown
    chosen: str | None  # the arm; None: a tie
