"""What people preferred: how often each method's answer wins, with an interval over prompts.

A vote for one of k answers says that it is better than each of the k - 1 others, and nothing of how these compare with
one another. So a method that is chosen at random wins half of its pairs, however many answers a vote shows. The pairs
of a vote stand or fall together, and so do the votes on one prompt: the interval is over prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuneoff.analysis.statistics import Estimate, ScoreMatrix, estimate_mean
from tuneoff.records.vote import Vote

TIE = 0.5


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How often one method's answer was preferred to another's."""

    win_rate: Estimate  # share of pairs, a tie as half a win; its examples are prompts
    wins: int  # pairs, as the next two
    ties: int
    losses: int
    votes: int


def summarize_votes(votes: Sequence[Vote], labels: Collection[str], confidence: float) -> dict[str, Preference]:
    """Return the preference for each of these methods that was in a decided pair, best first.

    Args:
        labels: answers of others are left out, such as those of adapters that were added while serving.
    """
    pairs = {
        label: [(vote, score) for vote in votes for score in _score_pairs(vote, label, labels)] for label in labels
    }
    preferences = {label: _summarize(of_label, confidence) for label, of_label in pairs.items() if of_label}
    return dict(sorted(preferences.items(), key=lambda item: -item[1].win_rate.mean))


def _score_pairs(vote: Vote, label: str, labels: Collection[str]) -> Iterator[float]:
    """Yield 1, 0.5 or 0 for each other answer that the vote compares with that of `label`."""
    shown = [arm for arm in vote.answers if arm in labels]
    if label not in shown:
        return
    if vote.chosen is None:
        yield from [TIE] * (len(shown) - 1)
    elif vote.chosen == label:
        yield from [1.0] * (len(shown) - 1)
    elif vote.chosen in shown:
        yield 0.0


def _summarize(pairs: Sequence[tuple[Vote, float]], confidence: float) -> Preference:
    by_prompt: Mapping[str, list[float]] = defaultdict(list)
    for vote, score in pairs:
        by_prompt[vote.prompt].append(score)
    matrix = ScoreMatrix(
        np.array([[sum(scores) for scores in by_prompt.values()]]),
        np.array([float(len(scores)) for scores in by_prompt.values()]),
        trained=False,
        step=1.0,
    )
    scores = [score for _, score in pairs]
    return Preference(
        win_rate=estimate_mean(matrix, confidence),
        wins=scores.count(1.0),
        ties=scores.count(TIE),
        losses=scores.count(0.0),
        votes=len({id(vote) for vote, _ in pairs}),
    )
