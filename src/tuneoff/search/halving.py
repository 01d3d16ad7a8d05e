"""How a search divides its tries: successive halving first, then a few last tries, then a second seed for the best two.

The drawn configurations are trained to the first rung, the best of them to the next, and so on. All methods have the
same rungs and the same number of tries, and so the same number of tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range, Space
from tuneoff.records.record import Record

LEARNING_RATE = "learning_rate"
LAST_TRIES = 2  # at least, if there are four configurations or more
FINALISTS = 2  # configurations that are compared on two seeds at the end


@dataclass(frozen=True, kw_only=True)
class TryCounts:
    """How many trainings of each kind a search has, if none diverges."""

    at_rungs: tuple[int, ...]  # configurations trained to each rung; the first is the number drawn
    last_tries: int  # further configurations, each trained straight to the last rung
    second_seed: int  # of the best ones, trained straight to the last rung

    @property
    def configurations(self) -> int:
        """All configurations of the search."""
        return self.at_rungs[0] + self.last_tries

    @property
    def trainings(self) -> int:
        """All trials of the search."""
        return sum(self.at_rungs) + self.straight

    @property
    def straight(self) -> int:
        """The trainings that start from the base model and end at the last rung."""
        return self.last_tries + self.second_seed


def count_space(space: Space) -> int | float:
    """Return the number of different configurations of a space; infinite if a range has numbers that are not whole."""
    return math.prod(_count_values(domain) for domain in space.values())


def _count_values(domain: Range | tuple[object, ...]) -> int | float:
    if not isinstance(domain, Range):
        return len(domain)
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return domain.high - domain.low + 1
    return math.inf


def count_tries(options: SearchOptions, configurations: int) -> TryCounts:
    """Divide the configurations of a search. One in four is a last try, and two are if there are four or more.

    At least two reach the last rung by halving: with the first last try they are the three points of a parabola, and
    the second can be at its vertex. In simulated searches of four configurations, two last tries instead of one left a
    seventh of the regret.
    """
    last_tries = max(LAST_TRIES, (configurations + 2) // 4) if configurations > LAST_TRIES + 1 else configurations // 3
    drawn = configurations - last_tries
    at_rungs = tuple(max(min(drawn, FINALISTS), math.ceil(drawn / options.eta**rung)) for rung in range(options.rungs))
    return TryCounts(
        at_rungs=at_rungs, last_tries=last_tries, second_seed=FINALISTS if configurations >= FINALISTS else 0
    )


def get_validation_score(record: Record | None, metric: str) -> float | None:
    """Return a record's validation score; None if there is no record, or the trial failed or diverged."""
    return record.scores.get(f"validation/{metric}") if record and record.status == "done" else None
