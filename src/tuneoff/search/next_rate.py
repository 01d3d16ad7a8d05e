"""The learning rate of a last try: the vertex of a parabola, beyond the edge, or next to the best."""

from __future__ import annotations

from collections.abc import Sequence

from tuneoff.search.parabola import RatePoint, fit_parabola

HALF_DECADE = 0.5
SAME_RATE = 0.04  # decades, a tenth of the rate: a try this close to another would repeat it


def choose_next_rate(points: Sequence[RatePoint], bounds: tuple[float, float] | None = None) -> float | None:
    """Return the log rate to try next, given trainings of equal length.

    The vertex of a parabola, where it explains the points and lies between the rates tried. Otherwise half a decade
    beyond the edge, if the best is the lowest or the highest rate tried. Otherwise the middle of the wider gap next to
    the best. Where nothing got a loss, half a decade below the lowest rate.

    Args:
        points: a rate that diverged has no loss but bounds the best.
        bounds: the log rates to stay between; None allows any.

    Returns:
        None if there is no rate left that is not the same as one that was tried.
    """
    if not points:
        return None
    rates = sorted({point.log_rate for point in points})
    best = find_best(points)
    if best is None:
        return _accept(rates[0] - HALF_DECADE, rates, bounds)
    parabola = fit_parabola(points)
    candidates = [parabola.vertex] if parabola and rates[0] < parabola.vertex < rates[-1] else []
    rates = sorted({point.log_rate for point in points if point.others == best.others})
    candidates += [*_list_beyond_edge(rates, best.log_rate), *_list_gaps(rates, best.log_rate)]
    accepted = (_accept(candidate, rates, bounds) for candidate in candidates)
    return next((candidate for candidate in accepted if candidate is not None), None)


def find_best(points: Sequence[RatePoint]) -> RatePoint | None:
    """Return the first point with the lowest loss; None if no point has one."""
    scored = [(point.loss, point) for point in points if point.loss is not None]
    return min(scored, key=lambda pair: pair[0])[1] if scored else None


def find_edge(points: Sequence[RatePoint], log_rate: float) -> str | None:
    """Return "low" or "high" if no rate beyond this one was tried on that side; None between others or if alone."""
    rates = {point.log_rate for point in points}
    if len(rates) < 2:
        return None
    return "low" if log_rate <= min(rates) else "high" if log_rate >= max(rates) else None


def _list_beyond_edge(rates: Sequence[float], best: float) -> list[float]:
    """Return half a decade beyond the best on the sides without another rate; upwards first."""
    beyond = []
    if best == rates[-1]:
        beyond.append(best + HALF_DECADE)
    if best == rates[0]:
        beyond.append(best - HALF_DECADE)
    return beyond


def _list_gaps(rates: Sequence[float], best: float) -> list[float]:
    """Return the middles of the gaps between the best and its neighbours, that of the wider gap first."""
    at = rates.index(best)
    neighbours = [rates[i] for i in (at - 1, at + 1) if 0 <= i < len(rates)]
    return [(best + other) / 2 for other in sorted(neighbours, key=lambda other: -abs(other - best))]


def _accept(log_rate: float, tried: Sequence[float], bounds: tuple[float, float] | None) -> float | None:
    """Return the rate within the bounds; None if it was tried."""
    if bounds is not None:
        log_rate = min(max(log_rate, bounds[0]), bounds[1])
    return None if any(abs(log_rate - other) < SAME_RATE for other in tried) else log_rate
