"""What a better learning rate could still gain: an upper estimate from the trainings around the chosen one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuneoff.search.parabola import RatePoint

CONFIDENCE = 0.95  # that the noise of validation does not hide a steeper slope
SKEW = 0.75  # per decade: the largest cubic coefficient that is considered, as a share of the squared one
REACH = 0.5  # decades beyond the last rate tried within which the best is looked for
MIN_GAP = 0.1  # decades; the slope between closer rates would be mostly noise


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The noise of a validation score after a training."""

    deviation: float  # standard deviation, without what all trainings under one seed share
    freedom: int  # degrees of freedom of its estimate


def estimate_noise(two_by_two: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> Noise | None:
    """Estimate the noise from pairs of configurations, each scored under the same two seeds; None without a pair.

    The difference of the two differences is free of what the configurations and the seeds do on their own, and has four
    times the variance of a score.
    """
    if not two_by_two:
        return None
    squares = [((a1 - b1) - (a2 - b2)) ** 2 / 4 for (a1, a2), (b1, b2) in two_by_two]
    return Noise(deviation=math.sqrt(sum(squares) / len(squares)), freedom=len(squares))


def estimate_regret(points: Sequence[RatePoint], chosen: RatePoint, noise: Noise) -> float | None:
    """Return at most how much loss a better rate would save, all else as chosen.

    Between two neighbours it is the drop of the parabola through the three points, with the slope at the chosen rate
    raised by the noise and by a cubic term, since the curvature may change with the rate. It is never more than a
    convex curve through the points allows. At the edge of the rates tried, it is the last slope continued for half a
    decade, or to a rate that diverged: a curve that flattens towards its bottom gains less.

    Args:
        points: trainings of equal length; those with other hyperparameters than the chosen one are left out.
        chosen: one of them, with the lowest loss.

    Returns:
        None if fewer than two rates have a loss.
    """
    assert chosen.loss is not None, "a chosen training has a loss"
    loss, rate = chosen.loss, chosen.log_rate
    peers = [p for p in points if p.others == chosen.others and p.log_rate != rate]
    below, above = _find_neighbour(peers, rate, -1), _find_neighbour(peers, rate, 1)
    spread = _get_quantile(noise) * noise.deviation
    if below and above:
        (left, left_loss), (right, right_loss) = below, above
        return _bound_inside(left, max(0.0, left_loss - loss), right, max(0.0, right_loss - loss), spread)
    if not below and not above:
        return None
    gap, neighbour_loss = below or above or (0.0, 0.0)
    lost = [abs(p.log_rate - rate) for p in peers if p.loss is None and (p.log_rate > rate) == (below is not None)]
    slope = max(0.0, neighbour_loss - loss) / gap + spread * math.sqrt(2) / gap
    return slope * min([REACH, *lost])


def _find_neighbour(peers: Sequence[RatePoint], rate: float, side: int) -> tuple[float, float] | None:
    """Return the distance and the loss of the nearest peer on a side that has a loss and is not too close."""
    gaps = sorted(
        (side * (p.log_rate - rate), p.loss) for p in peers if p.loss is not None and side * (p.log_rate - rate) > 0
    )
    return next((pair for pair in gaps if pair[0] >= MIN_GAP), gaps[-1] if gaps else None)


def _bound_inside(left: float, left_rise: float, right: float, right_rise: float, spread: float) -> float:
    """Return the bound between two neighbours, given the distances to them and how much worse they are."""
    width = left + right
    fall, rise = left_rise / left, right_rise / right  # the slopes on both sides, both as positive numbers
    curvature = (fall + rise) / width
    if curvature <= 0:
        return spread * math.sqrt(2)
    slope = abs(rise * left - fall * right) / width
    weights = (right / left / width, left / right / width)
    slope_noise = spread * math.hypot(*weights, weights[0] - weights[1])
    steepest = slope + slope_noise + SKEW * curvature * left * right
    convex = max(fall * right, rise * left) + spread * math.sqrt(2)
    return min(steepest**2 / (4 * curvature), convex)


def _get_quantile(noise: Noise) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(noise.freedom, CONFIDENCE))
