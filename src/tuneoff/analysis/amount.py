"""A number measured once in each trial, over a row's trials: its mean, its interval, and when two are the same.

Times and memory vary by a share of themselves, so they are averaged and compared on a logarithmic scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

MEDIAN_ERROR = math.sqrt(math.pi / 2)  # standard error of a median relative to that of a mean, if normal


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A mean and how well it is known."""

    mean: float
    interval: tuple[float, float] | None = None  # None: it is exact, or was measured once
    log_error: float | None = None  # standard error of the mean's logarithm; zero if exact, None if unknown
    freedom: float = math.inf  # degrees of freedom of that error


def make_exact(value: float) -> Amount:
    """Return a number that is counted, or known by construction."""
    return Amount(mean=value, log_error=0.0)


def estimate_average(values: Sequence[float], confidence: float) -> Amount:
    """Estimate the arithmetic mean with Student's interval: for a number that may be negative."""
    mean = fmean(values)
    if len(values) < 2:
        return Amount(mean=mean)
    half = _compute_t(confidence, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Amount(mean=mean, interval=(mean - half, mean + half), freedom=len(values) - 1)


def estimate_typical(values: Sequence[float], confidence: float) -> Amount:
    """Estimate the geometric mean with Student's interval of the logarithms: for a time, a rate or memory.

    One value has no interval. Values that are not all positive, such as the base model's zero seconds of training, have
    none either, and their arithmetic mean is taken.
    """
    if min(values) <= 0 or len(values) < 2:
        return Amount(mean=fmean(values))
    logs = [math.log(value) for value in values]
    mean = values[0] if len(set(values)) == 1 else math.exp(fmean(logs))
    return _build_amount(mean, stdev(logs) / math.sqrt(len(logs)), len(logs) - 1, confidence)


def estimate_median(values: Sequence[float], confidence: float) -> Amount:
    """Estimate the median of repeats within one trial, with an interval from the spread of their logarithms."""
    if min(values) <= 0 or len(values) < 2:
        return Amount(mean=median(values))
    logs = [math.log(value) for value in values]
    return _build_amount(median(values), MEDIAN_ERROR * stdev(logs) / math.sqrt(len(logs)), len(logs) - 1, confidence)


def multiply(first: Amount, second: Amount, confidence: float) -> Amount:
    """Return the product of two independent amounts. Its interval is unknown if that of either is."""
    mean = first.mean * second.mean
    if first.log_error is None or second.log_error is None:
        return Amount(mean=mean)
    return _build_amount(mean, *_combine(first.log_error, first.freedom, second.log_error, second.freedom), confidence)


def are_same(first: Amount, second: Amount, *, tolerance: float, confidence: float) -> bool:
    """Return whether two amounts differ by at most a share of the larger, or by no more than noise explains.

    Noise is judged by Welch's t-test on the logarithms. An amount measured once is taken to vary as the other one does;
    if both were measured once, the tolerance alone decides.
    """
    if abs(first.mean - second.mean) <= tolerance * max(abs(first.mean), abs(second.mean)):
        return True
    known = [amount for amount in (first, second) if amount.log_error is not None]
    if not known or min(first.mean, second.mean) <= 0:
        return False
    if len(known) == 2:
        (a, b) = known
        error, freedom = _combine(a.log_error or 0.0, a.freedom, b.log_error or 0.0, b.freedom)
    else:
        (a,) = known
        count = a.freedom + 1
        error, freedom = (a.log_error * math.sqrt(1 + count) if a.log_error else 0.0), a.freedom
    return error > 0 and abs(math.log(first.mean / second.mean)) <= _compute_t(confidence, freedom) * error


def _build_amount(mean: float, error: float, freedom: float, confidence: float) -> Amount:
    factor = math.exp(_compute_t(confidence, freedom) * error) if error > 0 else 1.0
    interval = (mean / factor, mean * factor) if error > 0 else None
    return Amount(mean=mean, interval=interval, log_error=error, freedom=freedom)


def _combine(error: float, freedom: float, other_error: float, other_freedom: float) -> tuple[float, float]:
    """The standard error of a sum, and its degrees of freedom. Source: Welch 1947."""
    variance = error**2 + other_error**2
    uncertainty = error**4 / freedom + other_error**4 / other_freedom
    return math.sqrt(variance), variance**2 / uncertainty if uncertainty > 0 else math.inf


def _compute_t(confidence: float, freedom: float) -> float:
    """The two-sided quantile of Student's t, which for infinite `freedom` is the normal distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))
