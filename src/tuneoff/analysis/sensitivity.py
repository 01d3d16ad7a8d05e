"""Which differences a comparison can show, before it is made.

A true difference is shown if the simultaneous interval of the observed one excludes zero. The chance of this follows
from the noise and from the sizes of the comparison, by the rules that the verdict uses: its variance between runs is
estimated from simulated families of methods, and the critical values are its own. Where the noise was measured, the
chance is averaged over what the noise may truly be (the assurance), because two or three seeds tell little about it.

Not included are what a search leaves to gain, which extends the intervals, and lost runs.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tuneoff.analysis.family import FEW_EXAMPLES, find_significant_means, get_critical_value, get_significant_p
from tuneoff.analysis.needed import POWER, list_example_counts
from tuneoff.analysis.noise import Noise
from tuneoff.analysis.seed_noise import estimate_seed_noise
from tuneoff.analysis.statistics import WELL_KNOWN_SHARE, ScoreMatrix
from tuneoff.metrics import Metric

if TYPE_CHECKING:
    from tuneoff.analysis.statistics import Array

SEED_COUNTS = (2, 3, 4, 5, 7, 10, 15, 20)  # the numbers of seeds that are considered
INTERACTION_SHARES = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0)  # of the variance between runs, for which one is simulated
DRAWS = 600  # pairs of methods that are simulated for each number of seeds


@dataclass(frozen=True, kw_only=True)
class Design:
    """The sizes of a comparison that decide what it can show."""

    methods: int  # the base model included
    trained: int  # of them
    seeds: int
    examples: int  # of the test split; groups of examples if there are any
    confidence: float
    has_groups: bool = False

    @property
    def sides(self) -> int:
        """How many of the two methods of a difference vary between runs."""
        return min(2, self.trained)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The cheapest sizes of a comparison that show a difference with a probability of `POWER`."""

    difference: float
    seeds: int | None  # None: the largest sizes considered would not show it
    examples: int | None
    seconds: float | None = None  # of the whole comparison; None without a probe


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Which difference between two methods a comparison can show by one metric, in its unit."""

    metric: Metric
    design: Design
    noise: Noise
    difference: float | None  # the smallest that is shown with a probability of `POWER`; None: no difference would be
    wanted: tuple[Wanted, ...]


def assess_sensitivity(
    metric: Metric,
    design: Design,
    noise: Noise,
    wanted: Sequence[float],
    compute_cost: Callable[[int, int], float],
    *,
    is_cost_in_seconds: bool,
) -> Sensitivity:
    """Find the smallest difference that the design can show, and the cheapest designs that show the wanted ones.

    Args:
        wanted: differences to plan for, all positive.
        compute_cost: of a comparison with these numbers of seeds and examples, to choose the cheapest.
        is_cost_in_seconds: whether this cost is an estimate of the time.
    """
    return Sensitivity(
        metric=metric,
        design=design,
        noise=noise,
        difference=find_visible_difference(noise, design),
        wanted=tuple(
            _find_cheapest(noise, design, difference, compute_cost, is_cost_in_seconds=is_cost_in_seconds)
            for difference in wanted
        ),
    )


def find_visible_difference(noise: Noise, design: Design) -> float | None:
    """The true difference that is shown with a probability of `POWER`.

    None if no difference can be shown, because there is one run of each method or because there are so few examples
    that all of them may improve by chance.
    """
    from scipy.optimize import brentq

    if design.seeds < 2:
        return None
    half_width_R, deviation_R = _draw_intervals(noise, design)
    is_possible_R = np.isfinite(half_width_R)
    if is_possible_R.mean() <= POWER:
        return None
    high = float(half_width_R[is_possible_R].max() + 10 * deviation_R.max())
    if high == 0:
        return 0.0  # no noise at all
    return float(brentq(lambda size: _average_chance(size, half_width_R, deviation_R) - POWER, 0.0, high))


def compute_chance(difference: float, noise: Noise, design: Design) -> float:
    """The probability that a true difference of this size is shown."""
    return _average_chance(difference, *_draw_intervals(noise, design)) if design.seeds > 1 else 0.0


def choose_round_difference(difference: float) -> float:
    """The largest of 1, 2 and 5, times a power of ten, that is at most half of a difference."""
    power = 10.0 ** math.floor(math.log10(difference / 2))
    return max(step * power for step in (1, 2, 5) if step * power <= difference / 2 * (1 + 1e-9))


def _find_cheapest(
    noise: Noise,
    design: Design,
    difference: float,
    compute_cost: Callable[[int, int], float],
    *,
    is_cost_in_seconds: bool,
) -> Wanted:
    sizes = []
    for seeds in SEED_COUNTS:
        examples = _find_fewest_examples(noise, replace(design, seeds=seeds), difference)
        if examples is not None:
            sizes.append((compute_cost(seeds, examples), seeds, examples))
    if not sizes:
        return Wanted(difference=difference, seeds=None, examples=None)
    cost, seeds, examples = min(sizes)
    seconds = cost if is_cost_in_seconds else None
    return Wanted(difference=difference, seeds=seeds, examples=examples, seconds=seconds)


def _find_fewest_examples(noise: Noise, design: Design, difference: float) -> int | None:
    """Find the fewest examples, at least those of the design, that show a difference; None if none of them do."""
    counts = list_example_counts(design.examples)

    def is_shown(examples: int) -> bool:
        return compute_chance(difference, noise, replace(design, examples=examples)) >= POWER

    if not is_shown(counts[-1]):
        return None
    low, high = -1, len(counts) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_shown(counts[middle]) else (middle, high)
    return counts[high]


def _average_chance(difference: float, half_width_R: Array, deviation_R: Array) -> float:
    """The probability that a normal estimate of the difference exceeds the half-width, averaged over the draws."""
    from scipy.special import ndtr

    exceeds_R = difference > half_width_R
    deviations_R = np.divide(
        difference - half_width_R, deviation_R, out=np.where(exceeds_R, np.inf, -np.inf), where=deviation_R > 0
    )
    return float(ndtr(deviations_R).mean())


def _draw_intervals(noise: Noise, design: Design) -> tuple[Array, Array]:
    """Draw the half-width of the interval of a difference and the true standard deviation of the difference, (R,)."""
    sides, seeds, examples = design.sides, design.seeds, design.examples
    draws, generator = DRAWS, np.random.default_rng(6)
    observed_R = noise.runs.variance * _draw_inverse_chi_square(noise.runs.freedom, draws, generator)
    seed_R = np.maximum(0.0, observed_R - noise.runs.interaction / noise.runs.examples)
    example_R = noise.examples.variance * _draw_inverse_chi_square(noise.examples.freedom, draws, generator)
    one_run = noise.runs.interaction / examples
    interaction = sides * one_run / seeds
    true_variance_R = example_R / examples + interaction + sides * seed_R / seeds

    share = float(np.median(one_run / np.maximum(one_run + seed_R, 1e-300)))
    variances_2R, freedoms_2R = _draw_run_estimates(design.trained, seeds, _round_share(share))
    freedom = max(1.0, noise.examples.effective_share * examples - 1)
    spread_R = generator.chisquare(freedom, draws) / freedom
    well_known = WELL_KNOWN_SHARE * interaction
    between_R = np.maximum(0.0, (example_R / examples + interaction) * spread_R - interaction) + well_known
    squared_R = _get_critical_values(design, np.full(draws, freedom)) ** 2 * between_R
    runs_2R = np.maximum(variances_2R[:sides] * (seed_R + one_run), one_run) / seeds
    total_R = runs_2R.sum(axis=0)
    kept_R = np.divide(total_R - well_known, total_R, out=np.zeros(draws), where=total_R > 0)
    for side in range(sides):
        squared_R = squared_R + _get_critical_values(design, freedoms_2R[side]) ** 2 * runs_2R[side] * kept_R
    half_width_R = np.sqrt(squared_R)
    if examples <= FEW_EXAMPLES:
        one_example_R = np.sqrt(example_R + interaction * examples)
        half_width_R = np.maximum(half_width_R, _draw_randomization_limits(design, one_example_R, generator))
    return half_width_R, np.sqrt(true_variance_R)


def _draw_randomization_limits(design: Design, deviation_R: Array, generator: np.random.Generator) -> Array:
    """Draw the difference beyond which the randomization test over examples, which few examples need, is passed too."""
    effects_RE = generator.normal(size=(len(deviation_R), design.examples)) * deviation_R[:, None]
    p = get_significant_p(design.methods, design.confidence)
    return find_significant_means(effects_RE - effects_RE.mean(axis=1, keepdims=True), p)


def _draw_inverse_chi_square(freedom: float, draws: int, generator: np.random.Generator) -> Array:
    """Draw what a variance may truly be, as a multiple of its estimate."""
    return freedom / generator.chisquare(freedom, draws) if math.isfinite(freedom) else np.ones(draws)


def _get_critical_values(design: Design, freedoms_R: Array) -> Array:
    different, places = np.unique(freedoms_R, return_inverse=True)
    critical = np.array([get_critical_value(design.methods, freedom, design.confidence) for freedom in different])
    return np.asarray(critical[places])


def _round_share(share: float) -> float:
    return min(INTERACTION_SHARES, key=lambda rounded: abs(rounded - share))


@functools.cache
def _draw_run_estimates(trained: int, seeds: int, interaction_share: float) -> tuple[Array, Array]:
    """Simulate what the verdict estimates for two methods of a family whose runs all have a variance of one.

    Args:
        interaction_share: the known part of that variance, below which the verdict believes no estimate.

    Returns:
        The estimates and their degrees of freedom, each (2, R), or (1, R) if one method is trained.
    """
    generator = np.random.default_rng(5)
    contrast_S = np.linspace(-1, 1, seeds)
    # two examples that differ in opposite directions have this interaction, and it changes no run's mean
    interaction_SE = np.outer(contrast_S * math.sqrt(interaction_share / np.var(contrast_S, ddof=1)), [1, -1])
    pairs = list(itertools.pairwise(range(trained)))[::2] if trained > 1 else [(0,)]
    parts = []
    for _ in range(math.ceil(DRAWS / len(pairs))):
        effects_MS = generator.normal(size=(trained, seeds))
        noise = estimate_seed_noise(
            [ScoreMatrix(effects_S[:, None] + interaction_SE, np.ones(2)) for effects_S in effects_MS]
        )
        parts += [[noise.paired[method][0] for method in pair] for pair in pairs]
    of_pairs = np.array(parts[:DRAWS])  # (R, 2, 2): variance and degrees of freedom of each side
    return of_pairs[..., 0].T, of_pairs[..., 1].T
