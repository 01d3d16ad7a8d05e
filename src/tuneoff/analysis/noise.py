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
from tuneoff.analysis.row import Row, build_score_matrix
from tuneoff.analysis.seed_noise import compute_difference_variances
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.config.verdict import PriorOptions
from tuneoff.records.metrics import Metric


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
    measured: str = ""  # on what: "differences" or "the base model"; empty: assumed


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What limits the differences that a comparison can show, in the metric's unit."""

    runs: RunNoise
    examples: ExampleNoise
    measured_in: str = ""  # the run directory; empty: everything is assumed


def assume_noise(metric: Metric, options: PriorOptions | None) -> Noise | None:
    """The noise that the recipe states, completed by that of the metric; None if neither gives both parts."""
    stated = options or PriorOptions()
    seed_sd = stated.seed_sd if stated.seed_sd is not None else metric.noise and metric.noise.seed_sd
    example_sd = stated.example_sd if stated.example_sd is not None else metric.noise and metric.noise.example_sd
    if seed_sd is None or example_sd is None:
        return None
    return Noise(runs=RunNoise(variance=seed_sd**2), examples=ExampleNoise(variance=example_sd**2))


def measure_noise(
    comparisons: Sequence[Comparison],
    metric: Metric,
    labels: Collection[str],
    assumed: Noise | None,
    *,
    measured_in: str,
    against_base: bool,
) -> Noise | None:
    """Measure what stored comparisons show, pooled over their methods, and take the rest from `assumed`.

    Args:
        labels: the methods of interest. If a comparison has fewer than two of them, all its methods are used.
        against_base: whether the difference is one from the base model, with the noise of one method's runs.

    Returns:
        None if a part is neither measured nor assumed, or if nothing is measured.
    """
    measured = [_collect_matrices(comparison, metric, labels) for comparison in comparisons]
    runs = _pool_runs([noise for m in measured if (noise := _measure_runs(m.trained, against_base=against_base))])
    pairs = [[(t, m.base) for t in m.trained if m.base] if against_base else m.pairs for m in measured]
    examples = _pool_examples([_measure_examples(of_comparison) for of_comparison in pairs if of_comparison])
    if examples is None and assumed and metric.noise:
        spreads = [_measure_spread(m.base) for m in measured if m.base and m.base.examples > 1]
        share = math.sqrt(fmean(spreads)) / metric.noise.base_sd if spreads else 0.0
        variance = share**2 * metric.noise.example_sd**2
        examples = ExampleNoise(variance=variance, measured="the base model") if variance > 0 else None
    if not assumed and not (runs and examples):
        return None
    if not (runs or examples):
        return None
    runs, examples = runs or (assumed and assumed.runs), examples or (assumed and assumed.examples)
    return Noise(runs=runs, examples=examples, measured_in=measured_in) if runs and examples else None


@dataclass(frozen=True)
class _Matrices:
    trained: tuple[ScoreMatrix, ...]
    base: ScoreMatrix | None

    @property
    def pairs(self) -> list[tuple[ScoreMatrix, ScoreMatrix]]:
        return list(itertools.combinations(self.trained, 2))


def _collect_matrices(comparison: Comparison, metric: Metric, labels: Collection[str]) -> _Matrices:
    rows = comparison.rank(metric)
    trained = [row for row in rows if not row.is_base]
    named = [row for row in trained if row.label in labels]
    chosen = named if len(named) > 1 else trained
    base = next((row for row in rows if row.is_base), None)

    def build(row: Row) -> ScoreMatrix:
        return build_score_matrix(row.finished, metric)

    return _Matrices(tuple(build(row) for row in chosen), build(base) if base else None)


def _measure_runs(trained: Sequence[ScoreMatrix], *, against_base: bool) -> RunNoise | None:
    """Pool the variance between runs over the methods with two or more seeds; None if there are none."""
    repeated = [matrix for matrix in trained if matrix.seeds > 1]
    if not repeated:
        return None
    are_paired = len({matrix.seed_ids for matrix in repeated}) == 1 and len(repeated) > 1
    if are_paired and not against_base:
        differences_MM = compute_difference_variances(np.array([matrix.seed_effects_S for matrix in repeated]))
        variance = float(differences_MM.sum() / 2 / (len(repeated) * (len(repeated) - 1)))
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
    first = pairs[0][0]
    if first.examples < 2:
        return None
    differences = [PairedDifference(a, b, ((), ())) for a, b in pairs]
    variances = [max(0.0, d.between_examples_variance - d.compute_interaction()) for d in differences]
    return ExampleNoise(
        variance=fmean(variances) * first.examples,
        freedom=max(1.0, first.effective_examples - 1),
        effective_share=first.effective_examples / first.examples,
        measured="differences",
    )


def _measure_spread(base: ScoreMatrix) -> float:
    """The variance of the base model's scores over examples."""
    return float((base.influence_SE.mean(axis=0) ** 2).sum() / (base.examples - 1))


def _pool_runs(noises: Sequence[RunNoise]) -> RunNoise | None:
    if not noises:
        return None
    return replace(
        noises[0],
        variance=fmean(noise.variance for noise in noises),
        freedom=sum(noise.freedom for noise in noises),
        interaction=fmean(noise.interaction for noise in noises),
        seeds=min(noise.seeds for noise in noises),
    )


def _pool_examples(noises: Sequence[ExampleNoise | None]) -> ExampleNoise | None:
    known = [noise for noise in noises if noise]
    if not known:
        return None
    return replace(
        known[0],
        variance=fmean(noise.variance for noise in known),
        effective_share=fmean(noise.effective_share for noise in known),
    )
