"""How certain each look must be where methods are compared again after every further seed.

If each look had the confidence of a single one, the chance of a false difference would grow with every look: to 15 %
after nine looks at 95 %. Here all looks together have the stated confidence. Every look spends a share of the error
that is allowed in all. The shares depend on nothing but the number of seeds, and never add up to more than one, so a
comparison may stop at any look for any reason, and may go on later.

Looks share most of their scores, so that a look can be less strict than its share alone would require. How much less
is that of a sequence of t-tests of one paired difference, by simulation. A family of methods, whose looks are more
alike, then has fewer false differences and not more (docs/how-to/until-decided.md).

Source: Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials"; for t-tests, Jennison and Turnbull
2000, "Group Sequential Methods with Applications to Clinical Trials", section 4.4.
"""

from __future__ import annotations

import functools

import numpy as np

FIRST_LOOK = 2  # seeds; with one, the variation between runs is unknown
LATER_SHARE = 0.1  # of the error, kept for looks beyond the planned number of seeds
SIMULATED_SEQUENCES = 200_000
LEAST_LEVEL = 1e-6  # where a look may spend less than the simulation resolves


def get_look_confidence(seeds: int, planned: int, confidence: float) -> float:
    """The confidence of the look after this many seeds.

    Args:
        seeds: of each method, at least `FIRST_LOOK`.
        planned: the number of seeds by which most of the error may be spent, at least `FIRST_LOOK`.
        confidence: of all looks together.
    """
    levels = _simulate_levels(planned, confidence)
    look = seeds - FIRST_LOOK
    if look < len(levels):
        return 1 - levels[look]
    spent, before = compute_spent_share(seeds, planned), compute_spent_share(seeds - 1, planned)
    return 1 - (1 - confidence) * (spent - before)  # by the union bound, which needs no simulation


def compute_spent_share(seeds: int, planned: int) -> float:
    """The share of the error that is spent by the look after this many seeds, that look included.

    It grows by the same amount with each of the planned seeds, and then ever more slowly to one.
    """
    if seeds <= planned:
        return (1 - LATER_SHARE) * (seeds - 1) / (planned - 1)
    return 1 - LATER_SHARE * planned / seeds


@functools.cache
def _simulate_levels(planned: int, confidence: float) -> tuple[float, ...]:
    """The p-value below which a t-test is significant, for each look up to twice the planned seeds."""
    from scipy.special import stdtr

    generator = np.random.default_rng(5)
    count = SIMULATED_SEQUENCES
    sums_R, squares_R, is_alive_R = np.zeros(count), np.zeros(count), np.ones(count, dtype=bool)
    levels: list[float] = []
    for seeds in range(1, 2 * planned + 1):
        differences_R = generator.normal(size=count)
        sums_R += differences_R
        squares_R += differences_R**2
        if seeds < FIRST_LOOK:
            continue
        variances_R = (squares_R - sums_R**2 / seeds) / (seeds - 1)
        sizes_R = np.where(is_alive_R, np.abs(sums_R) / np.sqrt(seeds * variances_R), 0.0)
        may_reject = round((1 - confidence) * compute_spent_share(seeds, planned) * count) - int((~is_alive_R).sum())
        critical = float(np.partition(sizes_R, count - may_reject)[count - may_reject]) if may_reject > 0 else np.inf
        is_alive_R &= sizes_R < critical
        levels.append(max(LEAST_LEVEL, float(2 * stdtr(seeds - 1, -critical))))
    return tuple(levels)
