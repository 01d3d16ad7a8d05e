"""What a judge replied to one question."""

from typing import Literal

from tuneoff.config.base import Options

Verdict = Literal["first", "second", "tie"]


class Judgement(Options):
    """One reply. The question is known by a hash of everything that was asked, so the same one is asked only once."""

    key: str
    verdict: Verdict | None  # None: the reply does not say
    reply: str
    model: str  # as the endpoint names it, which may be more exact than the recipe
