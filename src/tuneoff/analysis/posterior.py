"""What is still possible: draws of the methods' true means given their scores, and probabilities from them.

The noise is that of the intervals: over examples, paired between methods, and between runs, with the uncertainty of its
variance. What all trained methods have in common under one seed cancels between them, and not between them and the base
model. The true means of trained methods are taken to be alike to an unknown degree, which the scores show: if
they differ no more than noise, they are drawn towards each other. Without that, the best of many equal methods would
seem likely to be the best. The base model is not alike to them, so its mean is free.

Source: Gelman et al. 2013, "Bayesian Data Analysis", section 5.4, for the hierarchical normal model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuneoff.analysis.seed_noise import estimate_seed_noise
from tuneoff.analysis.statistics import ScoreMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tuneoff.analysis.statistics import Array

DRAWS = 4000
SPREADS = 40  # of the true means that are considered, from none to far beyond the noise
LEAST_NOISE = 1e-9  # as a share of the scores; scores without any but that of rounding have a singular covariance


@dataclass(frozen=True)
class Posterior:
    """Draws of the true means of M methods, and of the parts of their observed means that are noise.

    `means_RM + example_noise_RM + seed_noise_RM` is the observed mean in every draw.
    """

    means_RM: Array
    example_noise_RM: Array
    seed_noise_RM: Array
    run_variances_RM: Array  # of one run's mean, without what is counted between examples or is common
    common_variances_R: Array  # of what one seed changes in the mean of every trained method alike
    trained_M: NDArray[np.bool_]
    example_covariance_MM: Array

    def compute_run_variance(self, columns: tuple[int, int], seeds: tuple[int, int]) -> Array:
        """The variance between runs of the difference of two methods with these numbers of seeds, (R,)."""
        variance_R = self.run_variances_RM[:, columns] @ (1 / np.array(seeds, dtype=float))
        is_alone = self.trained_M[list(columns)]
        if is_alone[0] != is_alone[1]:
            variance_R = variance_R + self.common_variances_R / seeds[int(is_alone[1])]
        return np.asarray(variance_R)


@dataclass(frozen=True, kw_only=True)
class Chances:
    """What the draws say about one method."""

    best: float  # probability that its true mean is the best
    within_margin: float  # probability that it is the best or worse by at most the margin
    regret: float  # expected loss by choosing it instead of the true best, in the metric's unit


def draw_posterior(matrices: Sequence[ScoreMatrix]) -> Posterior | None:
    """Draw from the posterior; None with one example, or if a method has one run, since the noise is then unknown."""
    if matrices[0].examples < 2 or any(matrix.trained and matrix.seeds < 2 for matrix in matrices):
        return None
    generator = np.random.default_rng(3)
    seeds_M = np.array([matrix.seeds for matrix in matrices], dtype=float)
    scores_M = np.array([matrix.mean for matrix in matrices])
    example_MM = _compute_example_covariance(matrices)
    run_RM, common_R = _draw_run_variances(matrices, generator)
    trained = np.array([matrix.trained for matrix in matrices])
    typical_MM = example_MM + np.diag(np.median(run_RM, axis=0) / seeds_M)
    spreads_R = _draw_spreads(scores_M[trained], typical_MM[np.ix_(trained, trained)], generator)
    seed_RMM = np.einsum("rm,mn->rmn", run_RM / seeds_M, np.eye(len(matrices)))
    seed_RMM += common_R[:, None, None] * np.outer(trained, trained) / np.sqrt(np.outer(seeds_M, seeds_M))
    least = max(1e-12 * np.trace(typical_MM), LEAST_NOISE**2 * (scores_M @ scores_M)) or 1e-12
    noise_RMM = example_MM + seed_RMM + least * np.eye(len(matrices))
    means_RM = _draw_means(scores_M, noise_RMM, spreads_R, trained, generator)
    seed_noise_RM = _draw_normal(
        np.einsum("rmn,rn->rm", seed_RMM, np.linalg.solve(noise_RMM, (scores_M - means_RM)[..., None])[..., 0]),
        seed_RMM - seed_RMM @ np.linalg.solve(noise_RMM, seed_RMM),
        generator,
    )
    return Posterior(
        means_RM=means_RM,
        example_noise_RM=scores_M - means_RM - seed_noise_RM,
        seed_noise_RM=seed_noise_RM,
        run_variances_RM=run_RM,
        common_variances_R=common_R,
        trained_M=trained,
        example_covariance_MM=example_MM,
    )


def compute_chances(posterior: Posterior, *, higher_is_better: bool, margin: float) -> list[Chances]:
    """Return the chances of every method, in the order of the matrices."""
    quality_RM = posterior.means_RM if higher_is_better else -posterior.means_RM
    regret_RM = quality_RM.max(axis=1, keepdims=True) - quality_RM
    return [
        Chances(
            best=float((regret_RM[:, i] == 0).mean()),
            within_margin=float((regret_RM[:, i] <= margin).mean()),
            regret=float(regret_RM[:, i].mean()),
        )
        for i in range(quality_RM.shape[1])
    ]


def _compute_example_covariance(matrices: Sequence[ScoreMatrix]) -> Array:
    """The covariance of the means over examples; it contains each method's seed-example interaction."""
    examples = matrices[0].examples
    influence_ME = np.array([matrix.influence_SE.mean(axis=0) * matrix.leverage_E for matrix in matrices])
    observed_MM = influence_ME @ influence_ME.T / (examples * max(1, examples - 1))
    return np.asarray(observed_MM + np.diag([matrix.step_variance / 2 for matrix in matrices]))


def _draw_run_variances(matrices: Sequence[ScoreMatrix], generator: np.random.Generator) -> tuple[Array, Array]:
    """Draw each method's variance of one run's mean around its own examples' part, (R, M), and the common one, (R,).

    The first is zero for the base model. The second is the mean over the trained methods of what a difference from the
    base model has in addition.
    """
    noise = estimate_seed_noise(matrices)
    variances_RM = np.zeros((DRAWS, len(matrices)))
    for i, parts in enumerate(noise.paired):
        for part in parts:
            drawn_R = part.variance * part.freedom / generator.chisquare(part.freedom, DRAWS)
            variances_RM[:, i] = np.maximum(0.0, drawn_R - matrices[i].interaction_variance)
    common = [
        max(0.0, sum(part.variance for part in alone) - sum(part.variance for part in paired))
        for paired, alone in zip(noise.paired, noise.alone, strict=True)
        if alone
    ]
    freedom = min((matrix.seeds - 1 for matrix in matrices if matrix.trained), default=1)
    common_R = (sum(common) / max(1, len(common))) * freedom / generator.chisquare(freedom, DRAWS)
    return variances_RM, common_R


def _draw_spreads(scores_T: Array, noise_TT: Array, generator: np.random.Generator) -> Array:
    """Draw the standard deviation of the true means from its posterior given the scores, (R,).

    The prior is a half-Cauchy distribution with the size of the noise as its scale.
    """
    methods = len(scores_T)
    if methods < 2:
        return np.full(DRAWS, 1e6 * (1 + abs(scores_T).max(initial=0.0)))
    contrasts_CT = np.linalg.qr(np.eye(methods) - 1 / methods)[0][:, : methods - 1].T
    differences_C, noise_CC = contrasts_CT @ scores_T, contrasts_CT @ noise_TT @ contrasts_CT.T
    scale = float(np.sqrt(np.trace(noise_CC) / (methods - 1)))
    if scale <= LEAST_NOISE * abs(scores_T).max():
        return np.full(DRAWS, 1e6 * (1 + abs(scores_T).max()))
    quantiles = (np.arange(SPREADS) + 0.5) / SPREADS
    spreads = scale * np.tan(quantiles * np.pi / 2)  # equally likely before the scores are seen
    noise_GCC = noise_CC + spreads[:, None, None] ** 2 * np.eye(methods - 1)
    _, log_determinants_G = np.linalg.slogdet(noise_GCC)
    distances_G = np.einsum("c,gcd,d->g", differences_C, np.linalg.inv(noise_GCC), differences_C)
    logs_G = -0.5 * (log_determinants_G + distances_G)
    weights_G = np.exp(logs_G - logs_G.max())
    return np.asarray(generator.choice(spreads, size=DRAWS, p=weights_G / weights_G.sum()))


def _draw_means(
    scores_M: Array, noise_RMM: Array, spreads_R: Array, trained: Array, generator: np.random.Generator
) -> Array:
    """Draw the true means given the scores, the noise and the spread of the trained methods' means, (R, M)."""
    methods = trained.sum()
    centering_MM = np.diag(trained.astype(float)) - np.outer(trained, trained) / max(1, methods)
    precision_RMM = np.linalg.inv(noise_RMM)
    posterior_RMM = np.linalg.inv(precision_RMM + centering_MM / spreads_R[:, None, None] ** 2)
    centers_RM = np.einsum("rmn,rnk,k->rm", posterior_RMM, precision_RMM, scores_M)
    return _draw_normal(centers_RM, posterior_RMM, generator)


def _draw_normal(centers_RM: Array, covariances_RMM: Array, generator: np.random.Generator) -> Array:
    """Draw one vector from each normal distribution, whose covariance may be singular."""
    values_RM, vectors_RMM = np.linalg.eigh((covariances_RMM + covariances_RMM.transpose(0, 2, 1)) / 2)
    noise_RM = generator.normal(size=centers_RM.shape) * np.sqrt(np.maximum(values_RM, 0.0))
    return np.asarray(centers_RM + np.einsum("rmn,rn->rm", vectors_RMM, noise_RM))
