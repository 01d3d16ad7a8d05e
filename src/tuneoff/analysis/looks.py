"""Decide methods that are compared again after every further seed: one look at a time.

A method that is shown to be worse than the best one is dropped: it needs no further seed. Its decision stays, whatever
later looks show. All looks together have the stated confidence (`tuneoff.analysis.error_spending`), and at every look
the intervals are those of all methods, the dropped ones included.

Source: Jennison and Turnbull 2000, section 16.4, on dropping treatments; Mathieu et al. 2024, "AdaStop" (TMLR), which
does it for agents of reinforcement learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuneoff.analysis.error_spending import get_look_confidence
from tuneoff.analysis.family import PairedDifference, compare_all
from tuneoff.analysis.pairs import decide, estimate_lead
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What decides at every look."""

    metric: Metric
    margin: float  # the smallest difference that matters, in the metric's unit
    confidence: float  # of all looks together
    planned: int  # the number of seeds by which most of the error may be spent
    methods: int  # that are compared in all
    regrets: Mapping[str, float] = field(default_factory=dict)  # by label, what a search may still have to gain


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the scores of the first seeds decided."""

    seeds: int  # of every method that was still compared
    confidence: float  # of this look's intervals, so that all looks together have the stated one
    dropped: Mapping[str, str | None]  # by label, the method that it is worse than; None: no run of it has a score
    is_decided: bool  # whether one method is left, or all that are left are equal within the margin


def take_look(scores: Mapping[str, ScoreMatrix], seeds: int, rules: Rules) -> Look:
    """Decide which methods are worse than the best one, and whether that ends the comparison.

    Args:
        scores: of the methods that are still compared, under the first `seeds` seeds.
    """
    confidence = get_look_confidence(seeds, rules.planned, rules.confidence)
    dropped: dict[str, str | None] = {label: None for label, matrix in scores.items() if not matrix.seeds}
    sign = 1 if rules.metric.higher_is_better else -1
    ranked = sorted((label for label in scores if label not in dropped), key=lambda label: -sign * scores[label].mean)
    differences = compare_at_look([scores[label] for label in ranked], rules.methods, confidence)
    equal = 0
    for i in range(1, len(ranked)):
        best, other, paired = ranked[0], ranked[i], differences[0, i]
        if not paired.knows_noise:
            continue
        gains = rules.regrets.get(best, 0.0), rules.regrets.get(other, 0.0)
        decision = decide(estimate_lead(rules.metric, paired, rules.confidence, *gains), rules.margin)
        equal += decision == "equal"
        if decision in {"matters", "better"}:
            dropped[other] = best
    return Look(
        seeds=seeds,
        confidence=confidence,
        dropped=dropped,
        is_decided=len(scores) - len(dropped) <= 1 + equal,
    )


def compare_at_look(
    matrices: Sequence[ScoreMatrix], methods: int, confidence: float
) -> dict[tuple[int, int], PairedDifference]:
    """Return the difference of every two methods that are still compared.

    Args:
        methods: how many methods are compared in all, the dropped ones included.
        confidence: of this look.
    """
    return compare_all(matrices, methods=methods, look_confidence=confidence)
