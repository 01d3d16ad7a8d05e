"""The variation between runs of several methods, estimated together.

Two or three seeds say little about one method's variation between runs. All methods of a comparison together say more,
in two ways.

- The variances are moderated: a variance below the typical one is drawn towards it, and all gain degrees of freedom.
  How much depends on how alike the methods' variances are. No variance is believed smaller than observed, so a method
  that is less stable than the others keeps its own. The typical variance is that of all methods but the least stable
  one, which must not hide the differences between the others. Two seeds cannot tell which one that is, so with two
  it is that of all.
- Methods are paired over seeds: under the same seed they see the same batches in the same order, so a part of the seed
  effect is common to them and cancels in a difference.

With two methods there is nothing to learn from the others, and the difference is that of a paired t-test over seeds.

Source: Smyth 2004, "Linear models and empirical Bayes methods" (limma), for moderated variances and their degrees of
freedom. The typical variance and the limit of the degrees of freedom were chosen by simulation:
docs/concepts/calibration.md.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuneoff.analysis.statistics import Part, ScoreMatrix

if TYPE_CHECKING:
    from tuneoff.analysis.statistics import Array

SIMULATED_FAMILIES = 4000  # for the bias of the typical variance


@dataclass(frozen=True)
class SeedNoise:
    """The variance of one run's mean for each method, by its index; a method with one run or none has no parts."""

    paired: tuple[tuple[Part, ...], ...]  # in a difference from another method that was trained
    alone: tuple[tuple[Part, ...], ...]  # in a difference from the base model, where nothing cancels


def estimate_seed_noise(matrices: Sequence[ScoreMatrix]) -> SeedNoise:
    """Estimate the variation between runs of the methods that were trained with two or more seeds."""
    repeated = [i for i, matrix in enumerate(matrices) if matrix.trained and matrix.seeds > 1]
    methods = [matrices[i] for i in repeated]
    are_paired = len({matrix.seed_ids for matrix in methods}) == 1
    if len(methods) < 3:
        alone = [[Part(_compute_run_variance(matrix), matrix.seeds - 1)] for matrix in methods]
        paired = _pair_two(methods) if len(methods) == 2 and are_paired else alone
    else:
        paired, alone = _moderate(methods, are_paired=are_paired)
    return SeedNoise(
        paired=_place(paired, repeated, len(matrices)),
        alone=_place(alone, repeated, len(matrices)),
    )


def _pair_two(methods: Sequence[ScoreMatrix]) -> list[list[Part]]:
    """Give each of two methods half of the variance of their paired difference, so that the sum is that variance."""
    first, second = methods
    observed = float(np.var(first.seed_effects_S - second.seed_effects_S, ddof=1))
    variance = max(observed, first.interaction_variance + second.interaction_variance)
    return [[Part(variance / 2, first.seeds - 1)]] * 2


def _moderate(methods: Sequence[ScoreMatrix], *, are_paired: bool) -> tuple[list[list[Part]], list[list[Part]]]:
    """Return the parts of each method in a difference from another method, and in one from the base model."""
    variances_M = np.array([matrix.run_variance for matrix in methods])
    freedoms_M = np.array([matrix.seeds - 1.0 for matrix in methods])
    if not variances_M.any():
        parts = [[Part(matrix.interaction_variance, matrix.seeds - 1)] for matrix in methods]
        return parts, parts
    if are_paired:
        differences_MM = compute_difference_variances(np.array([matrix.seed_effects_S for matrix in methods]))
        own_share = min(1.0, compute_pooled_variance(differences_MM) / float(variances_M.mean()))
    else:
        differences_MM, own_share = variances_M[:, None] + variances_M[None, :], 1.0
    left_out = 0 if freedoms_M.min() == 1 else 1
    bias = _compute_bias(tuple(int(freedom) for freedom in freedoms_M), left_out, are_paired=are_paired)
    typical = compute_pooled_variance(differences_MM, left_out) / bias
    most_freedom = (len(methods) - 2 - left_out / 2) * float(freedoms_M.min())
    prior = min(estimate_prior_freedom(variances_M, freedoms_M), most_freedom)
    own_M = variances_M * own_share
    interactions_M = np.array([matrix.interaction_variance for matrix in methods])  # known well, and never less
    moderated_M = np.maximum(own_M, (prior * typical + freedoms_M * own_M) / (prior + freedoms_M))
    moderated_M = np.maximum(moderated_M, interactions_M)
    paired = [[Part(float(v), float(prior + f))] for v, f in zip(moderated_M, freedoms_M, strict=True)]
    common = [Part(float(v * (1 - own_share)), float(f)) for v, f in zip(variances_M, freedoms_M, strict=True)]
    return paired, [[*parts, part] for parts, part in zip(paired, common, strict=True)]


def compute_difference_variances(effects_MS: Array) -> Array:
    """The variance over seeds of the difference of every two methods, (M, M)."""
    covariances_MM = np.atleast_2d(np.cov(effects_MS))
    variances_M = covariances_MM.diagonal()
    return np.asarray(variances_M[:, None] + variances_M[None, :] - 2 * covariances_MM)


def compute_pooled_variance(differences_MM: Array, left_out: int = 0) -> float:
    """Half the mean variance of a difference, over all methods but the `left_out` least stable ones.

    Args:
        differences_MM: variances of the differences; the diagonal is ignored.
    """
    kept = len(differences_MM) - left_out
    between_MM = np.where(np.eye(len(differences_MM), dtype=bool), 0.0, differences_MM)
    stable = np.argsort(between_MM.sum(axis=1))[:kept]
    return float(between_MM[np.ix_(stable, stable)].sum() / (kept * (kept - 1)) / 2)


@functools.cache
def _compute_bias(freedoms: tuple[int, ...], left_out: int, *, are_paired: bool) -> float:
    """The mean of the pooled variance if every method's variance is one, below one if some are left out; simulated."""
    if not left_out:
        return 1.0
    generator, freedoms_M = np.random.default_rng(0), np.array(freedoms)

    def simulate() -> Array:
        if are_paired:
            return compute_difference_variances(generator.normal(size=(len(freedoms), freedoms[0] + 1)))
        variances_M = generator.chisquare(freedoms_M) / freedoms_M
        return np.asarray(variances_M[:, None] + variances_M[None, :])

    return float(np.mean([compute_pooled_variance(simulate(), left_out) for _ in range(SIMULATED_FAMILIES)]))


def estimate_prior_freedom(variances_M: Array, freedoms_M: Array) -> float:
    """The degrees of freedom that the other methods add to each method's own: many if the variances are alike.

    The logarithms of variances from equal methods vary by a known amount. What they vary more tells how different the
    methods are. Infinite if they do not vary more.

    Source: Smyth 2004, section 6.2.
    """
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    positive_M = np.maximum(variances_M, 1e-12 * variances_M.max())
    logs_M = np.log(positive_M) - digamma(freedoms_M / 2) + np.log(freedoms_M / 2)
    excess = float(np.var(logs_M, ddof=1) - polygamma(1, freedoms_M / 2).mean())
    low, high = 1e-3, 1e6
    if excess <= polygamma(1, high / 2):
        return float("inf")
    if excess >= polygamma(1, low / 2):
        return 0.0
    return float(brentq(lambda freedom: float(polygamma(1, freedom / 2)) - excess, low, high))


def _compute_run_variance(matrix: ScoreMatrix) -> float:
    """The variance between runs, at least the part of it that the interaction explains, which is known better."""
    return max(matrix.run_variance, matrix.interaction_variance)


def _place(parts: Sequence[Sequence[Part]], indices: Sequence[int], methods: int) -> tuple[tuple[Part, ...], ...]:
    by_index = {i: tuple(of_method) for i, of_method in zip(indices, parts, strict=True)}
    return tuple(by_index.get(i, ()) for i in range(methods))
