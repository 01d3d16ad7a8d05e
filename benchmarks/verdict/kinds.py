"""The kind of verdict that whole comparisons get: with one seed, and with a method that diverges in some runs."""

from __future__ import annotations

from collections import Counter

import numpy as np

from benchmarks.verdict.worlds import Array, Generator, World
from tests.analysis.simulation import make_comparison
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.metrics import LOSS, ROUGE_L

DIVERGES = 0.2  # of the runs of the unreliable method


def count_kinds_of_one_seed(generator: Generator, examples: int, comparisons: int) -> Counter[str]:
    """Count the kinds, by ROUGE-L and by loss, of two equal methods with one seed, whose effect has deviation one."""
    kinds: Counter[str] = Counter()
    for _ in range(comparisons):
        scores_MSE = World(title="", interaction=6.0, example_effect=4.0).draw(generator, 2, 1, examples)
        comparison = make_comparison({"lora": _clip(scores_MSE[0]), "full": _clip(scores_MSE[1])})
        kinds.update(decide_verdict(comparison, metric).kind for metric in (ROUGE_L, LOSS))
    return kinds


def count_kinds_of_diverging(generator: Generator, seeds: int, comparisons: int) -> tuple[Counter[str], Counter[str]]:
    """Count the kinds where the better one of two methods diverges in one of five runs.

    Where it trains, it is better by five points. The standard deviation of a seed is half a point.

    Returns:
        The kinds of comparisons in which a run was lost, and of those in which none was. Comparisons in which every run
        was lost are left out.
    """
    lost, complete = Counter[str](), Counter[str]()
    world = World(title="", draw_deviations=lambda _, methods: np.full(methods, 0.5))
    for _ in range(comparisons):
        scores_MSE = world.draw(generator, 2, seeds, 40, means_M=np.array([5.0, 0.0]))
        kept = int((generator.random(seeds) >= DIVERGES).sum())
        if kept == 0:
            continue
        comparison = make_comparison({"lora": _clip(scores_MSE[0, :kept]), "full": _clip(scores_MSE[1])})
        (complete if kept == seeds else lost)[decide_verdict(comparison, ROUGE_L).kind] += 1
    return lost, complete


def _clip(scores_SE: Array) -> Array:
    return np.clip(scores_SE, 0.0, 100.0)
