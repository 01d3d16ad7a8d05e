"""What the page shows of the runs, besides the arms."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneoff.analysis.preferences import summarize_votes
from tuneoff.records.vote import Vote
from tuneoff.runs.votes import read_votes

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class TestExample:
    """An example of the test split.

    Args:
        asked: from which a run makes the prompt: the source text, or the row if the template needs its columns.
    """

    row: int
    source: str
    reference: str
    asked: Any  # a text or a row

    __test__ = False  # for pytest


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What the page shows.

    Args:
        title: the name of the run.
        verdict: of the comparison, in one sentence.
        examples: of its test split.
        votes_file: where votes are stored.
    """

    title: str
    verdict: str
    examples: Sequence[TestExample]
    votes_file: Path

    def find_example(self, row: int) -> TestExample | None:
        """Return the example of a row."""
        return next((example for example in self.examples if example.row == row), None)

    def draw_example(self, after: int) -> TestExample:
        """Return an example at random, another one than that of the row `after` if there is one."""
        others = [example for example in self.examples if example.row != after]
        return random.SystemRandom().choice(others or list(self.examples))

    def read_votes(self) -> Sequence[Vote]:
        """Return all votes so far."""
        return read_votes(self.votes_file)

    def list_standings(self, arms: Collection[str]) -> list[dict[str, Any]]:
        """Return the win rate of each arm with votes, as the page shows it."""
        return [
            {
                "arm": arm,
                "rate": preference.win_rate.mean,
                "low": preference.win_rate.low,
                "high": preference.win_rate.high,
                "votes": preference.votes,
            }
            for arm, preference in summarize_votes(self.read_votes(), arms, CONFIDENCE).items()
        ]
