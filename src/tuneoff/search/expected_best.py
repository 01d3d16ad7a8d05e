"""Estimate how good the best of n tries of a search would be, from the scores of all its tries.

Source: Dodge et al. 2019, "Show Your Work", arXiv:1909.03004, introduced the question; its estimator draws with
replacement and is biased towards a worse best. This one is unbiased: Tang et al. 2020, "Showing Your Work Doesn't
Always Work", arXiv:2004.13705.
"""

import math
from collections.abc import Sequence


def compute_expected_best(scores: Sequence[float | None], *, lower_is_better: bool) -> tuple[float | None, ...]:
    """Return the mean best score over all subsets of 1, 2, ... tries.

    With the scores sorted from worst to best, the i-th of N is the best of C(i-1, n-1) of the C(N, n) subsets of n.

    Args:
        scores: one per try, all after equal training; None for a try that diverged, which is worse than any score.

    Returns:
        One value for each n = 1 ... N; None where a subset of n may have diverged as a whole, since it has no best.
    """
    worst_first = sorted((score for score in scores if score is not None), reverse=lower_is_better)
    diverged, tries = len(scores) - len(worst_first), len(scores)
    return tuple(_compute_mean_best(worst_first, diverged, n) if n > diverged else None for n in range(1, tries + 1))


def _compute_mean_best(worst_first: Sequence[float], diverged: int, n: int) -> float:
    tries = diverged + len(worst_first)
    return sum(
        math.comb(rank - 1, n - 1) / math.comb(tries, n) * score
        for rank, score in enumerate(worst_first, start=diverged + 1)
    )
