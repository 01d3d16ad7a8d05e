"""A parabola in the logarithm of the learning rate, fitted to scores after equal training.

Near its minimum, a loss is close to a parabola in the log of the learning rate. Hyperparameters other than the rate may
differ between the points: each setting of them has its own height, and all share the curvature and the vertex.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

MIN_RATES = 3
MIN_EXPLAINED = 0.95  # share of the variance of the losses, within equal other hyperparameters
WALL = 10.0  # a point that is worse than the best by this many times as much as the third best is left out


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """One training: its learning rate and what came of it."""

    log_rate: float  # base 10, so a difference of 1 is a decade
    loss: float | None  # lower is better, whatever the metric; None: diverged or failed
    others: Hashable = ()  # the setting of the other hyperparameters


@dataclass(frozen=True, kw_only=True)
class Parabola:
    """A parabola that opens upwards."""

    curvature: float  # coefficient of the squared log rate
    vertex: float  # the log rate with the lowest loss


def fit_parabola(points: Sequence[RatePoint]) -> Parabola | None:
    """Fit by least squares, and leave out the worst points until the parabola explains the others.

    A point far from the best often lies on a wall, where a rate is too high for the schedule, and says nothing about
    the bottom.

    Returns:
        None if fewer than three rates have a loss, the rest does not determine a parabola, or it opens downwards.
    """
    kept = _sort_by_loss(points)
    while kept:
        kept = _drop_lone(kept)
        if not _is_determined(kept):
            return None
        parabola = _fit(kept)
        if parabola is not None:
            return parabola
        kept = kept[:-1]
    return None


def _sort_by_loss(points: Sequence[RatePoint]) -> list[RatePoint]:
    """Return the points with a loss, but not on a wall, by how much worse they are than the best with equal others."""
    best: dict[Hashable, float] = {}
    for point in points:
        if point.loss is not None:
            best[point.others] = min(point.loss, best.get(point.others, point.loss))
    scored = [(point.loss - best[point.others], point) for point in points if point.loss is not None]
    scored.sort(key=lambda pair: pair[0])
    highest = WALL * scored[MIN_RATES - 1][0] if len(scored) > MIN_RATES else math.inf
    return [point for excess, point in scored if excess <= highest]


def _drop_lone(points: Sequence[RatePoint]) -> list[RatePoint]:
    """Return the points without those that are alone with their others, which only determine their own height."""
    counts = Counter(point.others for point in points)
    return [point for point in points if counts[point.others] > 1]


def _is_determined(points: Sequence[RatePoint]) -> bool:
    groups = {point.others for point in points}
    rates = {point.log_rate for point in points}
    return len(rates) >= MIN_RATES and len(points) >= 2 + len(groups)


def _fit(points: Sequence[RatePoint]) -> Parabola | None:
    import numpy as np

    groups = list(dict.fromkeys(point.others for point in points))
    x = np.array([point.log_rate for point in points])
    y = np.array([point.loss for point in points])
    center = x.mean()
    heights = np.array([[point.others == group for group in groups] for point in points], dtype=float)
    design = np.column_stack([(x - center) ** 2, x - center, heights])
    coefficients, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    curvature, slope = float(coefficients[0]), float(coefficients[1])
    within = y - heights @ ((heights.T @ y) / heights.sum(axis=0))
    total, residual = float(within @ within), float(((y - design @ coefficients) ** 2).sum())
    if rank < design.shape[1] or curvature <= 0 or total == 0 or residual > (1 - MIN_EXPLAINED) * total:
        return None
    return Parabola(curvature=curvature, vertex=float(center) - slope / (2 * curvature))
