"""Families of methods without true differences, drawn from the scores of a run's methods.

Every method of a drawn family has the same true mean, and keeps what its records show: its own variation between seeds,
between examples, and from their interaction. Under one seed, methods keep what they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tuneoff.analysis.statistics import ScoreMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tuneoff.analysis.statistics import Array

    Indices = NDArray[np.int64]

# Families drawn from the same few stored runs resemble each other. Counted as this many independent ones for each
# stored seed, and at most one for each split, their interval covers the true share (docs/concepts/calibration.md).
INDEPENDENT_PER_SEED = 2

Draw = Callable[[np.random.Generator], list[ScoreMatrix]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the families come from.

    Args:
        name: "records" if seed effects are differences of stored runs, "simulated" if there are too few for that and
            seed effects are normal.
        splits: how many distinct pairs of groups the stored seeds can be divided into; None if simulated.
        independent: how many families tell as much about the share of false differences as all that are drawn; None if
            any number can be drawn.
    """

    name: Literal["records", "simulated"]
    draw: Draw
    splits: int | None = None
    independent: int | None = None


def choose_source(matrices: Sequence[ScoreMatrix], seeds: int) -> Source:
    """Draw families from the records if the trained methods share twice as many seeds as a family has.

    Args:
        seeds: of each method of a family.
    """
    stored = {matrix.seed_ids for matrix in matrices if matrix.trained}
    available = min(len(seed_ids) for seed_ids in stored)
    if len(stored) > 1 or available < 2 * seeds:
        return Source(name="simulated", draw=build_simulated_draw(matrices, seeds, are_paired=len(stored) == 1))
    splits = count_splits(available, seeds)
    return Source(
        name="records",
        draw=build_draw_from_records(matrices, seeds),
        splits=splits,
        independent=min(splits, INDEPENDENT_PER_SEED * available),
    )


def count_splits(available: int, seeds: int) -> int:
    """The number of ways to choose two disjoint groups of `seeds` from the available ones, in no order."""
    return math.comb(available, seeds) * math.comb(available - seeds, seeds) // 2


def build_draw_from_records(matrices: Sequence[ScoreMatrix], seeds: int) -> Draw:
    """Draw families whose seed effects are differences of two stored runs, over resampled examples.

    The stored seeds are divided into two groups. A family's run is the mean over all seeds plus the difference of one
    run from each group, divided by the square root of two: so it varies as one run does, and its true mean is known.
    All methods have the same two groups.
    """
    available = min(matrix.seeds for matrix in matrices if matrix.trained)
    influences = [_remove_interaction_of_means(matrix) for matrix in matrices]

    def draw(generator: np.random.Generator) -> list[ScoreMatrix]:
        order = generator.permutation(available)
        rows = generator.integers(matrices[0].examples, size=matrices[0].examples)

        def draw_method(matrix: ScoreMatrix, influence_SE: Array) -> ScoreMatrix:
            u_SE = influence_SE[:, rows]
            effects_SE = np.zeros((1, len(rows)))
            if matrix.trained:
                effects_SE = (u_SE[order[:seeds]] - u_SE[order[seeds : 2 * seeds]]) / math.sqrt(2)
            return _build_matrix(matrix, rows, matrices[0].mean, u_SE.mean(axis=0) + effects_SE)

        return [draw_method(*of_method) for of_method in zip(matrices, influences, strict=True)]

    return draw


def _remove_interaction_of_means(matrix: ScoreMatrix) -> Array:
    """The influences with each run's mean drawn towards zero, by what the interaction adds to it.

    Resampled examples add it again, so that a drawn run varies as much as a stored one.
    """
    if matrix.run_variance == 0:
        return matrix.influence_SE
    kept = math.sqrt(max(0.0, 1 - matrix.interaction_variance / matrix.run_variance))
    return np.asarray(matrix.influence_SE - (1 - kept) * matrix.seed_effects_S[:, None])


def build_simulated_draw(matrices: Sequence[ScoreMatrix], seeds: int, *, are_paired: bool) -> Draw:
    """Draw families with the variance components of the methods' own scores.

    Examples and residuals are resampled from the scores, seed effects are normal. The residuals are scaled up by the
    variance that estimating the effects took from them.

    Args:
        are_paired: whether the stored methods have the same seeds, and so also those of a family.
    """
    deviations_M = np.sqrt([max(0.0, matrix.run_variance - matrix.interaction_variance) for matrix in matrices])
    shared = _estimate_shared_share(matrices, deviations_M) if are_paired else 0.0

    def draw(generator: np.random.Generator) -> list[ScoreMatrix]:
        examples = matrices[0].examples
        rows = generator.integers(examples, size=examples)
        shared_S = generator.normal(size=seeds)
        shared_choice_SE = generator.random((seeds, examples))

        def draw_method(index: int, matrix: ScoreMatrix) -> ScoreMatrix:
            u_SE = matrix.influence_SE
            example_effects_E = u_SE.mean(axis=0)[rows]
            if not matrix.trained:
                return _build_matrix(matrix, rows, matrices[0].mean, example_effects_E[None])
            normal_S = math.sqrt(shared) * shared_S + math.sqrt(1 - shared) * generator.normal(size=seeds)
            choice_SE = shared_choice_SE if are_paired else generator.random((seeds, examples))
            residuals_SE = _compute_residuals(matrix)[(choice_SE * matrix.seeds).astype(int), rows]
            influence_SE = example_effects_E + deviations_M[index] * normal_S[:, None] + residuals_SE
            seed_ids = () if are_paired else tuple(range(index * seeds, (index + 1) * seeds))
            return _build_matrix(matrix, rows, matrices[0].mean, influence_SE, seed_ids)

        return [draw_method(i, matrix) for i, matrix in enumerate(matrices)]

    return draw


def _compute_residuals(matrix: ScoreMatrix) -> Array:
    u_SE = matrix.influence_SE
    residuals_SE = u_SE - u_SE.mean(axis=0) - u_SE.mean(axis=1, keepdims=True)
    return np.asarray(residuals_SE * math.sqrt(matrix.seeds / (matrix.seeds - 1)))


def _estimate_shared_share(matrices: Sequence[ScoreMatrix], deviations_M: Array) -> float:
    """The share of the variance between seeds that the trained methods have in common."""
    trained = [i for i, matrix in enumerate(matrices) if matrix.trained]
    if len(trained) < 2 or not deviations_M.any():
        return 0.0
    covariances_MM = np.cov(np.array([matrices[i].seed_effects_S for i in trained]))
    between = covariances_MM[~np.eye(len(trained), dtype=bool)].mean()
    products_MM = np.outer(deviations_M[trained], deviations_M[trained])
    possible = products_MM[~np.eye(len(trained), dtype=bool)].mean()
    return min(1.0, max(0.0, float(between / possible))) if possible > 0 else 0.0


def _build_matrix(
    matrix: ScoreMatrix, rows: Indices, mean: float, influence_SE: Array, seed_ids: tuple[int, ...] = ()
) -> ScoreMatrix:
    denominators_E = matrix.denominators_E[rows]
    numerators_SE = mean * denominators_E + influence_SE * matrix.denominators_E.mean()
    return ScoreMatrix(numerators_SE, denominators_E, seed_ids, trained=matrix.trained)
