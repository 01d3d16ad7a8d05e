"""Cost estimates as text: what does not fit, and, after the run, the predicted costs next to the actual ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.plan import Capacity
from tuneoff.budget.estimate import CostEstimate, estimate_trial_seconds, estimate_trunk_seconds
from tuneoff.budget.probe import Part
from tuneoff.records.record import Record
from tuneoff.report.format import NOTHING, format_bytes, format_seconds, format_signed

PARTS: tuple[Part, ...] = ("search", "confirm", "test")


def list_misfits(cost_estimate: CostEstimate, capacity: Capacity) -> tuple[str, ...]:
    """Return what does not fit into memory, disk or budget, each with what would help; nothing if everything fits."""
    return (*_list_memory_misfits(cost_estimate, capacity), *_list_total_misfits(cost_estimate, capacity))


def _list_total_misfits(cost_estimate: CostEstimate, capacity: Capacity) -> Iterator[str]:
    if cost_estimate.disk_bytes > capacity.disk_bytes:
        largest = max(cost_estimate.disk, key=lambda kind: cost_estimate.disk[kind])
        yield (
            f"The run does not fit on the disk: it would take {format_bytes(cost_estimate.disk_bytes)}, mostly for "
            f"{largest}, and {format_bytes(capacity.disk_bytes)} are free. "
            "Free some space, or choose another disk with --run."
        )
    if capacity.seconds is not None and cost_estimate.seconds > capacity.seconds:
        yield (
            f"The run does not fit into the budget: it would take {format_seconds(cost_estimate.seconds)}, and the "
            f"budget has {format_seconds(capacity.seconds)}. `tuneoff compare` reduces the plan to fit."
        )


def _list_memory_misfits(cost_estimate: CostEstimate, capacity: Capacity) -> Iterator[str]:
    for label in dict.fromkeys(entry.label for entry in cost_estimate.entries):
        too_large = [
            entry
            for entry in cost_estimate.entries
            if entry.label == label and entry.memory_bytes > capacity.memory_bytes
        ]
        if too_large:
            largest = max(too_large, key=lambda entry: entry.memory_bytes)
            key = "evaluation.generation.batch_size" if largest.part == "test" else "training.batch_size"
            yield (
                f"{label} does not fit into memory: the {largest.part} stage needs "
                f"{format_bytes(largest.memory_bytes)}, and {format_bytes(capacity.memory_bytes)} are available. "
                f"Lower {key} or data.max_tokens, or remove the method."
            )


@dataclass(frozen=True, kw_only=True)
class PredictedActual:
    """A line of the table: what was predicted for a part of the run, and what it took."""

    label: str | None  # None: no single method
    name: str
    predicted: str
    actual: str
    time_error: str  # as a share of the actual time
    predicted_memory: str = NOTHING
    actual_memory: str = NOTHING
    memory_error: str = ""


def compare_with_estimate(comparison: Comparison) -> tuple[PredictedActual, ...]:
    """Return a line for each method and part that has been run, one for the rest of the run, and the total.

    Without a probe nothing was predicted, so there are no lines.
    """
    return tuple(_build_lines(comparison))


def _build_lines(comparison: Comparison) -> Iterator[PredictedActual]:
    spending = comparison.spending
    if spending is None or spending.probe is None:
        return
    probe, recipe, seconds_by_trial = spending.probe, comparison.run.recipe, spending.spent.trials
    total_predicted = total_actual = 0.0
    for label in recipe.methods:
        records = [r for r in comparison.run.records if r.trial.label == label and r.trial.id in seconds_by_trial]
        if label not in probe.costs or not records:
            continue
        costs, samples = probe.costs[label], {record.trial.train_sample for record in records}
        trunk_seconds = len(samples) * estimate_trunk_seconds(probe, label)
        estimates = [estimate_trial_seconds(record.trial, recipe, probe) for record in records]
        for part in PARTS:
            of_part = [seconds[part] for seconds in estimates if part in seconds]
            if not of_part:
                continue
            predicted, trunk_seconds = sum(of_part) + trunk_seconds, 0.0  # the trunk is paid for in the first part
            trains = costs.step is not None
            actual = sum(_get_actual_seconds(seconds_by_trial[r.trial.id], part, trains=trains) for r in records)
            total_predicted, total_actual = total_predicted + predicted, total_actual + actual
            memory = (costs.get_memory_bytes(part), _get_peak_memory(records, part))
            yield _build_line(label, part, predicted, actual, *memory)
    if not total_actual:
        return
    shared_actual = (
        spending.spent.seconds - probe.probe_seconds - sum(sum(parts.values()) for parts in seconds_by_trial.values())
    )
    yield _build_line(None, "loading data and model, writing the report", probe.shared_seconds, shared_actual)
    yield _build_line(None, "total", total_predicted + probe.shared_seconds, total_actual + shared_actual)


def _get_actual_seconds(parts: Mapping[Part, float], part: Part, *, trains: bool) -> float:
    """Return the seconds of a part. A method without training has its loading and validation counted with its test."""
    return parts.get(part, 0.0) + (0.0 if trains or part != "test" else parts.get("confirm", 0.0))


def _get_peak_memory(records: list[Record], part: Part) -> int | None:
    """Return the highest peak of all trials in that part."""
    costs = [r.costs for r in records if r.costs and (r.trial.stage == "search") == (part == "search")]
    memories = [c.evaluation_memory if part == "test" else c.training_memory for c in costs]
    return max((memory.peak_bytes or 0 for memory in memories if memory), default=None)


def _build_line(
    label: str | None,
    name: str,
    predicted: float,
    actual: float,
    predicted_memory: int | None = None,
    actual_memory: int | None = None,
) -> PredictedActual:
    has_memory = bool(predicted_memory and actual_memory)
    return PredictedActual(
        label=label,
        name=name,
        predicted=format_seconds(predicted),
        actual=format_seconds(actual),
        time_error=_format_error(predicted, actual),
        predicted_memory=format_bytes(predicted_memory or 0) if has_memory else NOTHING,
        actual_memory=format_bytes(actual_memory or 0) if has_memory else NOTHING,
        memory_error=_format_error(predicted_memory or 0, actual_memory or 0) if has_memory else "",
    )


def _format_error(predicted: float, actual: float) -> str:
    return f"{format_signed(100 * (predicted / actual - 1), 0)} %" if actual > 0 else ""
