"""Rounds: one prompt, the answers of several arms, and at most one vote.

In a blind round the server alone knows which arm wrote which answer until the vote is given.
"""

from __future__ import annotations

import random
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from string import ascii_uppercase
from typing import final

from tuneoff.records.vote import Vote
from tuneoff.serving.http.errors import ApiError

KEPT = 500  # rounds that may still be voted on


@dataclass(kw_only=True)
class Round:
    """A prompt and its answers.

    Args:
        arms: in the order in which they are shown.
        row: of the test split, if the prompt is one of its examples.
        finished: how many answers are complete.
    """

    id: str
    prompt: str
    row: int | None
    arms: Sequence[str]
    is_blind: bool
    texts: list[str] = field(init=False)
    finished: int = 0

    def __post_init__(self) -> None:
        self.texts = [""] * len(self.arms)

    @property
    def names(self) -> list[str]:
        """What the page calls the answers before a vote."""
        return [f"Answer {ascii_uppercase[k]}" for k in range(len(self.arms))] if self.is_blind else list(self.arms)


@final
class Rounds:
    """The rounds that may still be voted on; the oldest are forgotten."""

    def __init__(self) -> None:
        self._rounds: OrderedDict[str, Round] = OrderedDict()

    def open(self, prompt: str, row: int | None, arms: Sequence[str], *, is_blind: bool) -> Round:
        """Begin a round. A blind one is shuffled."""
        order = list(arms)
        if is_blind:
            random.SystemRandom().shuffle(order)
        opened = Round(id=secrets.token_urlsafe(12), prompt=prompt, row=row, arms=order, is_blind=is_blind)
        self._rounds[opened.id] = opened
        while len(self._rounds) > KEPT:
            self._rounds.popitem(last=False)
        return opened

    def vote(self, id: str, choice: int | None) -> tuple[Round, Vote]:
        """Return a round with the vote for one of its answers; None is a tie. The round is over then.

        Raises:
            ApiError: there is no such round or answer, its answers are not complete, or it was not blind.
        """
        found = self._rounds.get(id)
        if found is None:
            raise ApiError(409, "This round has a vote already, or is too long ago.")
        if not found.is_blind:
            raise ApiError(409, "Only blind rounds are voted on.")
        if found.finished < len(found.arms):
            raise ApiError(409, "The answers are not complete, so they cannot be compared.")
        if choice is not None and not 0 <= choice < len(found.arms):
            raise ApiError(400, f"There is no answer {choice}.", param="choice")
        del self._rounds[id]
        return found, Vote(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            prompt=found.prompt,
            row=found.row,
            answers=dict(zip(found.arms, found.texts, strict=True)),
            chosen=None if choice is None else found.arms[choice],
        )
