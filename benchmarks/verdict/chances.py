"""The reliability of the stated chances: how often a method with a chance of p to be the best is the best."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.verdict.families import build_matrices
from benchmarks.verdict.worlds import Array, Generator, World
from tuneoff.analysis.posterior import compute_chances, draw_posterior

BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Stated:
    """Chances of every method of many families, and what was true; all (F, M)."""

    best_FM: Array
    is_best_FM: Array
    within_FM: Array
    is_within_FM: Array
    regret_FM: Array
    true_regret_FM: Array

    @property
    def chosen_F(self) -> Array:
        """The index of the method with the largest chance to be the best."""
        return self.best_FM.argmax(axis=1)


def state_chances(
    generator: Generator, world: World, *, methods: int, seeds: int, spread: float, families: int
) -> Stated:
    """Draw families whose true means have a standard deviation of `spread`, and state their chances.

    The margin is half of the standard error of a difference. If all true means are equal, the best is any one of them.
    """
    margin = 0.5 * np.sqrt(2 / seeds)
    rows = []
    for _ in range(families):
        means_M = generator.normal(0, spread, size=methods)
        posterior = draw_posterior(build_matrices(world.draw(generator, methods, seeds, means_M=means_M)))
        assert posterior is not None, "every method has several seeds"
        stated = compute_chances(posterior, higher_is_better=True, margin=margin)
        regrets_M = means_M.max() - means_M
        best = int(generator.integers(methods)) if spread == 0 else int(regrets_M.argmin())
        rows.append(
            [
                [chances.best for chances in stated],
                np.arange(methods) == best,
                [chances.within_margin for chances in stated],
                regrets_M <= margin,
                [chances.regret for chances in stated],
                regrets_M,
            ]
        )
    return Stated(*np.array(rows, dtype=float).transpose(1, 0, 2))


def bin_chances(stated_N: Array, happened_N: Array) -> Iterator[tuple[float, float, float, float, int]]:
    """Yield each bin's limits, the mean stated chance, the observed share, and the number of cases in it."""
    for low, high in itertools.pairwise(BINS):
        inside_N = (stated_N >= low) & ((stated_N < high) | (high == 1))
        if inside_N.any():
            yield low, high, float(stated_N[inside_N].mean()), float(happened_N[inside_N].mean()), int(inside_N.sum())
