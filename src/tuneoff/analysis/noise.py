"""How much a difference between two methods varies by chance, before a comparison is made.

It is measured on stored runs. What they do not show is assumed: the numbers that the recipe states, or those that were
measured on the project's own runs (docs/how-to/plan.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.family import PairedDifference
from tuneoff.analysis.row import build_score_matrix
from tuneoff.analysis.seed_noise import compute_difference_variances, compute_pooled_variance
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.config.verdict import PriorOptions
from tuneoff.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class RunNoise:
    """The variation between runs of one method, in a difference where what is common to the methods cancels."""

    variance: float  # of one run's mean over `examples` test examples
    freedom: float = math.inf  # degrees of freedom of the variance; infinite if it is assumed
    interaction: float = 0.0  # the variance of one example's score between runs, beyond that of the mean
    examples: int = 1
    seeds: int = 0  # of each method that was measured; 0: assumed


@dataclass(frozen=True, kw_only=True)
class ExampleNoise:
    """The variation over test examples of the difference between two methods, without what a new run would change."""

    variance: float  # of one example's difference
    freedom: float = math.inf
    effective_share: float = 1.0  # effective examples per example; below one if examples have unequal weights
    measured: str = ""  # what showed it; empty: it is assumed
    base_variance: float | None = None  # of one example's score by the base model, where the variance was measured


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What limits the differences that a comparison can show, in the metric's unit."""

    runs: RunNoise
    examples: ExampleNoise
    measured_in: str = ""  # the run directory; empty: everything is assumed


def assume_noise(metric: Metric, options: PriorOptions | None) -> Noise | None:
    """The noise that the recipe states, completed by what is typical of the metric; None if a part is in neither."""
    stated, typical = options or PriorOptions(), metric.noise
    seed_sd, example_sd = stated.seed_sd, stated.example_sd
    if typical and seed_sd is None:
        seed_sd = typical.seed_sd
    if seed_sd is None or (example_sd is None and typical is None):
        return None
    if example_sd is not None:
        examples = ExampleNoise(variance=example_sd**2)
    else:
        assert typical is not None, "checked above"
        examples = ExampleNoise(variance=typical.example_sd**2, base_variance=typical.base_sd**2)
    return Noise(runs=RunNoise(variance=seed_sd**2), examples=examples)


@dataclass(frozen=True, kw_only=True)
class StoredScores:
    """The scores of a stored comparison by one metric."""

    trained: tuple[ScoreMatrix, ...]
    base: ScoreMatrix | None

    def list_pairs(self, *, against_base: bool) -> list[tuple[ScoreMatrix, ScoreMatrix]]:
        """Every two trained methods, or each of them with the base model."""
        if against_base:
            return [(matrix, self.base) for matrix in self.trained] if self.base else []
        return list(itertools.combinations(self.trained, 2))


def collect_scores(comparison: Comparison, metric: Metric, labels: Collection[str]) -> StoredScores:
    """Collect the scores of the named methods; those of all methods if fewer than two of the named ones are there."""
    rows = comparison.rank(metric)
    trained = [row for row in rows if row.trains]
    named = [row for row in trained if row.label in labels]
    base = next((row for row in rows if row.is_base), None)
    return StoredScores(
        trained=tuple(build_score_matrix(row.finished, metric) for row in (named if len(named) > 1 else trained)),
        base=build_score_matrix(base.finished, metric) if base else None,
    )


def measure_noise(
    stored: Sequence[StoredScores], assumed: Noise | None, *, measured_in: str, against_base: bool = False
) -> Noise | None:
    """Measure what stored scores show, pooled over methods and comparisons, and take the rest from `assumed`.

    Args:
        measured_in: where the scores are stored.
        against_base: whether the difference is one from the base model, with the noise of one method's runs.

    Returns:
        None if nothing is measured, or if a part is neither measured nor assumed.
    """
    runs = _pool_runs([noise for one in stored if (noise := _measure_runs(one.trained, against_base=against_base))])
    pairs = [one.list_pairs(against_base=against_base) for one in stored]
    examples = _pool_examples([found for of_one in pairs if (found := _measure_examples(of_one))])
    if assumed:
        examples = examples or _scale_by_base(assumed.examples, [one.base for one in stored if one.base])
    if runs is None and examples is None:
        return None
    known_runs = runs or (assumed.runs if assumed else None)
    known_examples = examples or (assumed.examples if assumed else None)
    if known_runs is None or known_examples is None:
        return None
    return Noise(runs=known_runs, examples=known_examples, measured_in=measured_in)


def _measure_runs(trained: Sequence[ScoreMatrix], *, against_base: bool) -> RunNoise | None:
    """Pool the variance between runs over the methods with two or more seeds; None if there are none."""
    repeated = [matrix for matrix in trained if matrix.seeds > 1]
    if not repeated:
        return None
    are_paired = len({matrix.seed_ids for matrix in repeated}) == 1 and len(repeated) > 1
    if are_paired and not against_base:
        differences_MM = compute_difference_variances(np.array([matrix.seed_effects_S for matrix in repeated]))
        variance = compute_pooled_variance(differences_MM)
        freedom = (len(repeated) - 1) * (repeated[0].seeds - 1)
    else:
        variance = fmean(matrix.run_variance for matrix in repeated)
        freedom = sum(matrix.seeds - 1 for matrix in repeated)
    examples = repeated[0].examples
    return RunNoise(
        variance=variance,
        freedom=freedom,
        interaction=fmean(matrix.interaction_variance for matrix in repeated) * examples,
        examples=examples,
        seeds=min(matrix.seeds for matrix in repeated),
    )


def _measure_examples(pairs: Sequence[tuple[ScoreMatrix, ScoreMatrix]]) -> ExampleNoise | None:
    """Pool the variance over examples of the pairs' differences; with one seed it contains the interaction."""
    if not pairs or pairs[0][0].examples < 2:
        return None
    first = pairs[0][0]
    differences = [PairedDifference(a, b, ((), ())) for a, b in pairs]
    variances = [max(0.0, d.between_examples_variance - d.compute_interaction()) for d in differences]
    return ExampleNoise(
        variance=fmean(variances) * first.examples,
        freedom=max(1.0, first.effective_examples - 1),
        effective_share=first.effective_examples / first.examples,
        measured="the differences between methods",
    )


def _scale_by_base(assumed: ExampleNoise, bases: Sequence[ScoreMatrix]) -> ExampleNoise | None:
    """Scale what is assumed by how much more the base model's scores vary here than where it was measured."""
    variances = [
        float((base.influence_SE.mean(axis=0) ** 2).sum() / (base.examples - 1)) for base in bases if base.examples > 1
    ]
    if not variances or not assumed.base_variance:
        return None
    variance = assumed.variance * fmean(variances) / assumed.base_variance
    return replace(assumed, variance=variance, measured="the spread of the base model's scores")


def _pool_runs(noises: Sequence[RunNoise]) -> RunNoise | None:
    """Pool what several comparisons show, at the first one's number of examples, on which the interaction depends."""
    if not noises:
        return None
    interaction = fmean(noise.interaction for noise in noises)
    without = fmean(max(0.0, noise.variance - noise.interaction / noise.examples) for noise in noises)
    return replace(
        noises[0],
        variance=without + interaction / noises[0].examples,
        freedom=sum(noise.freedom for noise in noises),
        interaction=interaction,
        seeds=min(noise.seeds for noise in noises),
    )


def _pool_examples(noises: Sequence[ExampleNoise]) -> ExampleNoise | None:
    if not noises:
        return None
    return replace(
        noises[0],
        variance=fmean(noise.variance for noise in noises),
        effective_share=fmean(noise.effective_share for noise in noises),
    )
