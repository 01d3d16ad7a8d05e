"""How often families of equally good methods have a false difference, and how often a true one is found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.verdict.shares import format_share
from benchmarks.verdict.worlds import EXAMPLES, Array, Generator, World
from tuneoff.analysis.calibration import find_any_difference, is_different
from tuneoff.analysis.family import compare_all
from tuneoff.analysis.statistics import ScoreMatrix, estimate_mean

CONFIDENCE = 0.95
SIMILARITY = 0.8  # correlation of the seed effects on ROUGE and on the loss
TOKENS = 24  # the median number of target tokens of an example


def build_matrices(scores_MSE: Sequence[Array]) -> list[ScoreMatrix]:
    """Return the scores of each method as a matrix of equally weighted examples."""
    return [ScoreMatrix(of_method, np.ones(of_method.shape[1])) for of_method in scores_MSE]


def is_false(matrices: Sequence[ScoreMatrix]) -> bool:
    """Return whether any two of these equal methods are called different."""
    return find_any_difference(compare_all(matrices).values(), CONFIDENCE)


def measure_false_share(
    generator: Generator, world: World, methods: int, seeds: int, families: int, examples: int = EXAMPLES
) -> float:
    """Return the share of families of equal methods with a false difference."""
    found = [is_false(build_matrices(world.draw(generator, methods, seeds, examples))) for _ in range(families)]
    return float(np.mean(found))


def measure_two_metrics(
    generator: Generator, world: World, methods: int, seeds: int, families: int
) -> tuple[float, float, float]:
    """The shares of families with a false difference in ROUGE, in the loss, and in either."""
    judged = np.array(
        [
            [is_false(matrices) for matrices in _draw_two_metrics(generator, world, methods, seeds)]
            for _ in range(families)
        ]
    )
    return float(judged[:, 0].mean()), float(judged[:, 1].mean()), float(judged.any(axis=1).mean())


def _draw_two_metrics(
    generator: Generator, world: World, methods: int, seeds: int
) -> tuple[list[ScoreMatrix], list[ScoreMatrix]]:
    """Draw ROUGE, and a loss weighted by tokens, whose seed effects are correlated."""
    effects_MS = world.draw_seed_effects(generator, methods, seeds)
    other_MS = world.draw_seed_effects(generator, methods, seeds)
    noise = World(title="without seed effects", draw_effects=lambda _, shape: np.zeros(shape))
    rouge_MSE = noise.draw(generator, methods, seeds) + effects_MS[..., None]
    loss_MSE = noise.draw(generator, methods, seeds)
    loss_MSE -= (SIMILARITY * effects_MS + math.sqrt(1 - SIMILARITY**2) * other_MS)[..., None]
    tokens_E = np.ceil(TOKENS * generator.lognormal(0, 0.5, size=EXAMPLES))
    return build_matrices(rouge_MSE), [ScoreMatrix(of_method * tokens_E, tokens_E) for of_method in loss_MSE]


def measure_lost_seed(generator: Generator, world: World, methods: int, seeds: int, families: int) -> float:
    """The share of families with a false difference where every second method has lost its last seed."""

    def draw() -> list[ScoreMatrix]:
        scores_MSE = world.draw(generator, methods, seeds)
        return build_matrices([of_method[: seeds - i % 2] for i, of_method in enumerate(scores_MSE)])

    return float(np.mean([is_false(draw()) for _ in range(families)]))


def measure_power(
    generator: Generator, world: World, methods: int, seeds: int, families: int, advantage: float
) -> tuple[float, float]:
    """The share of pairs in which the first method is found better, and of families where it is better than all."""
    found = []
    for _ in range(families):
        scores_MSE = world.draw(generator, methods, seeds)
        scores_MSE[0] += advantage
        pairs = compare_all(build_matrices(scores_MSE))
        found.append([pairs[0, j].mean > 0 and is_different(pairs[0, j], CONFIDENCE) for j in range(1, methods)])
    return float(np.mean(found)), float(np.all(found, axis=1).mean())


def measure_mean_coverage(
    generator: Generator, weight_deviation: float, examples: int, seeds: int, families: int
) -> float:
    """How often the interval of a token-weighted loss contains the true one.

    Longer examples have a lower loss per token, as texts do. The true loss is that of infinitely many examples.
    """
    true_loss = 2.5 - 0.3 * weight_deviation**2  # by the lognormal distribution's mean, weighted by itself
    covered = 0
    for _ in range(families):
        log_weights_E = generator.normal(0, weight_deviation, size=examples)
        losses_E = 2.5 - 0.3 * log_weights_E + generator.normal(0, 0.6, size=examples)
        losses_SE = losses_E + generator.normal(0, 0.02, size=(seeds, 1)) + generator.normal(0, 0.1, (seeds, examples))
        weights_E = np.exp(log_weights_E)
        interval = estimate_mean(ScoreMatrix(losses_SE * weights_E, weights_E), CONFIDENCE)
        covered += interval.low <= true_loss <= interval.high
    return covered / families


def measure_interaction_share(
    generator: Generator, seeds: int, ratio: float, well_known: float, families: int
) -> float:
    """How often the interval of one method's difference from a fixed score misses it.

    Args:
        ratio: the variance of a run's mean from the interaction, relative to that from the seed.
        well_known: the share of the interaction that counts with the examples' degrees of freedom.
    """
    from unittest.mock import patch

    world = World(
        title="",
        draw_deviations=lambda _, methods: np.full(methods, math.sqrt(1 / (1 + ratio))),
        interaction=math.sqrt(ratio / (1 + ratio) * EXAMPLES),
        example_effect=0.0,
    )
    with patch("tuneoff.analysis.statistics.WELL_KNOWN_SHARE", well_known):
        return measure_false_share(generator, world, 2, seeds, families)


def iterate_false_shares(
    generator: Generator, world: World, methods: Sequence[int], seeds: Sequence[int], families: int
) -> Iterator[str]:
    """Yield the cells of a row of false shares, by methods within seeds."""
    for count in seeds:
        for size in methods:
            yield format_share(measure_false_share(generator, world, size, count, families), families)
