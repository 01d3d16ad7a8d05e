"""What a row costs at inference, from times that were measured in many trials on a machine with other load.

The load changes from trial to trial, so a time is not compared with that of another trial, but with the base model's in
the same process. A row's time is the base model's, over all trials, times the row's ratio to it. Rows that are the base
model's network with other weights have a ratio of one by construction and share one time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tuneoff.analysis.amount import Amount, estimate_median, estimate_typical, make_exact, multiply
from tuneoff.methods import METHODS
from tuneoff.records.record import Inference, Record

TIMES = ("prefill_ms", "token_ms")


def compute_ratio(inference: Inference, time: str) -> float:
    """The time relative to the base model's in one trial: the median over repeats, each of which pairs the two."""
    if inference.same_as_base:
        return 1.0
    return median(_list_ratios(inference, time))


def estimate_base_times(records: Sequence[Record], confidence: float) -> dict[str, Amount]:
    """The base network's times over all trials that measured it; empty if none did.

    A trial whose own network is the same measured it once for both, or twice in records of older versions.
    """
    measured = [(record, record.costs.inference) for record in records if record.costs and record.costs.inference]
    if not measured:
        return {}
    return {
        time: _estimate_over_trials(
            [_get_base_time(record, inference, time) for record, inference in measured],
            [getattr(repeat, f"base_{time}") for repeat in measured[0][1].repeats],
            confidence,
        )
        for time in TIMES
    }


def estimate_latency(
    records: Sequence[Record], base_times: Mapping[str, Amount], confidence: float
) -> dict[str, Amount]:
    """The costs of one row at inference, by name; empty if they were not measured.

    Args:
        records: of the row's trials.
        base_times: of `estimate_base_times`.
    """
    inferences = [record.costs.inference for record in records if record.costs and record.costs.inference]
    if not inferences:
        return {}
    amounts = {}
    for time in TIMES:
        ratio = (
            make_exact(1.0)
            if any(map(_is_base_network, records))
            else _estimate_over_trials(
                [compute_ratio(inference, time) for inference in inferences],
                _list_ratios(inferences[0], time),
                confidence,
            )
        )
        amounts[time] = multiply(base_times[time], ratio, confidence)
        amounts[time.replace("_ms", "_ratio")] = ratio
    return amounts


def _is_base_network(record: Record) -> bool:
    """Return whether the trial served the base model's network; a record of an older version says so for the base model
    alone."""
    if not METHODS[record.trial.method].trains:
        return True
    return bool(record.costs and record.costs.inference and record.costs.inference.same_as_base)


def _get_base_time(record: Record, inference: Inference, time: str) -> float:
    """The trial's measurement of the base network."""
    base, served = getattr(inference, f"base_{time}"), getattr(inference, time)
    return float(base + served) / 2 if _is_base_network(record) else float(base)


def _list_ratios(inference: Inference, time: str) -> list[float]:
    """The ratio in each repeat; in a record of an older version, that of the medians."""
    pairs = [(getattr(r, time), getattr(r, f"base_{time}")) for r in inference.repeats or (inference,)]
    return [served / base for served, base in pairs]


def _estimate_over_trials(of_trials: Sequence[float], of_repeats: Sequence[float], confidence: float) -> Amount:
    """Estimate over trials; with one trial the repeats within it show its spread."""
    if len(of_trials) == 1 and len(of_repeats) > 1:
        return estimate_median(of_repeats, confidence)
    return estimate_typical(of_trials, confidence)
