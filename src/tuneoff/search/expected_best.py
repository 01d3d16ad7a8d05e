"""How good the best of so many tries may be expected to be, from the tries that were made.

Source: Dodge et al. 2019, "Show Your Work", arXiv:1909.03004, asked the question; its estimator draws with
replacement and so is biased towards a worse best. The one here is unbiased: Tang et al. 2020, "Showing Your Work
Doesn't Always Work", arXiv:2004.13705.
"""

import math
from collections.abc import Sequence


def compute_expected_best(scores: Sequence[float | None], *, lower_is_better: bool) -> tuple[float | None, ...]:
    """The mean best score over all ways to pick 1, 2, ... of the tries, each try at most once.

    With the scores sorted from worst to best, the i-th of N is the best of C(i-1, n-1) of the C(N, n) subsets of n.

    Args:
        scores: one for each try, all after equal training; None for one that diverged, which is worse than any score.

    Returns:
        For n = 1 ... N; None for an n at which all that are picked may have diverged, since that has no mean.
    """
    worst_first = sorted((score for score in scores if score is not None), reverse=lower_is_better)
    diverged, tries = len(scores) - len(worst_first), len(scores)
    return tuple(_compute_mean_best(worst_first, diverged, n) if n > diverged else None for n in range(1, tries + 1))


def _compute_mean_best(worst_first: Sequence[float], diverged: int, n: int) -> float:
    tries = diverged + len(worst_first)
    return sum(
        math.comb(place - 1, n - 1) / math.comb(tries, n) * score
        for place, score in enumerate(worst_first, start=diverged + 1)
    )
