"""The power of the rule before simultaneous intervals (commit 1402382), on the same worlds.

Each pair was tested alone, with Satterthwaite's degrees of freedom, and the p-values were adjusted by Holm's procedure.

    git worktree add /tmp/before 1402382
    PYTHONPATH=/tmp/before/src:. python -m benchmarks.verdict.before
"""

from __future__ import annotations

import importlib
import itertools

import numpy as np

from benchmarks.verdict.shares import format_share, print_table
from benchmarks.verdict.worlds import (
    CORRELATED,
    EQUAL,
    SKEWED,
    SKEWED_AND_STABLE,
    STABLE_AND_UNSTABLE,
    Array,
    Generator,
    World,
)

FAMILIES = 1000
POWER_CASES = ((EQUAL, 3.0), (CORRELATED, 1.5))  # with the true advantage of the first method


def main() -> None:
    """Print the tables in Markdown."""
    print_table(
        "Power before: 3 seeds",
        ("world", "methods", "one pair", "better than all"),
        (
            (world.title, str(methods), *measure_power(np.random.default_rng(6), world, methods, advantage))
            for world, advantage in POWER_CASES
            for methods in (2, 3, 4, 8)
        ),
    )
    print_table(
        "False differences before",
        ("world", "methods x seeds", "false"),
        (
            (world.title, f"{methods} x {seeds}", measure_false(np.random.default_rng(1), world, methods, seeds))
            for world in (EQUAL, CORRELATED, SKEWED, SKEWED_AND_STABLE, STABLE_AND_UNSTABLE)
            for methods, seeds in ((2, 2), (2, 3), (4, 2), (8, 2), (4, 3), (8, 3))
        ),
    )


def adjust(scores_MSE: Array) -> dict[tuple[int, int], tuple[float, float]]:
    """The difference and the adjusted p-value of every two methods, by the rule of that commit."""
    statistics = importlib.import_module("tuneoff.analysis.statistics")
    matrices = [statistics.ScoreMatrix(of, np.ones(of.shape[1]), stream) for stream, of in enumerate(scores_MSE)]
    keys = list(itertools.combinations(range(len(matrices)), 2))
    pairs = [statistics.PairedDifference(matrices[i], matrices[j]) for i, j in keys]
    adjusted = statistics.adjust_holm([pair.t_test_p for pair in pairs])
    return {key: (pair.mean, p) for key, pair, p in zip(keys, pairs, adjusted, strict=True)}


def measure_power(generator: Generator, world: World, methods: int, advantage: float) -> tuple[str, str]:
    """Return how often the advantage of the first method is found in a pair, and in all pairs, by the earlier rule."""
    found = []
    for _ in range(FAMILIES):
        scores_MSE = world.draw(generator, methods, 3)
        scores_MSE[0] += advantage
        judged = adjust(scores_MSE)
        found.append([judged[0, j][0] > 0 and judged[0, j][1] < 0.05 for j in range(1, methods)])
    shares = float(np.mean(found)), float(np.all(found, axis=1).mean())
    return format_share(shares[0], FAMILIES), format_share(shares[1], FAMILIES)


def measure_false(generator: Generator, world: World, methods: int, seeds: int) -> str:
    """Return the share of families with a false difference by the earlier rule."""
    drawn = (world.draw(generator, methods, seeds) for _ in range(FAMILIES))
    return format_share(np.mean([min(p for _, p in adjust(s).values()) < 0.05 for s in drawn]).item(), FAMILIES)


if __name__ == "__main__":
    main()
