"""The bill in words: what will not fit, and, once it was run, what was predicted against what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.budget.estimate import CostEstimate, estimate_trial_seconds, estimate_trunk_seconds
from tuneoff.budget.plan import Capacity
from tuneoff.budget.probe import Part
from tuneoff.records.record import Record
from tuneoff.report.format import MINUS, format_bytes, format_seconds

NOTHING = "–"


def format_money(seconds: float, price_per_hour: float) -> str:
    """In the currency of the price, which nobody named."""
    return f"{seconds / 3600 * price_per_hour:,.2f}"


def list_misfits(cost_estimate: CostEstimate, room: Capacity) -> tuple[str, ...]:
    """What does not fit into the machine or the budget, and what would help; nothing where all does."""
    return tuple(_misfits(cost_estimate, room))


def _misfits(cost_estimate: CostEstimate, room: Capacity) -> Iterator[str]:
    memory = format_bytes(room.memory_bytes)
    for label in dict.fromkeys(entry.label for entry in cost_estimate.entries):
        own = [
            entry for entry in cost_estimate.entries if entry.label == label and entry.memory_bytes > room.memory_bytes
        ]
        if own:
            most = max(own, key=lambda entry: entry.memory_bytes)
            lever = "evaluation.generation.batch_size" if most.part == "test" else "training.batch_size"
            yield (
                f"{label} does not fit into memory: in {most.part} it would hold {format_bytes(most.memory_bytes)}, "
                f"and there are {memory}. Lower {lever} or data.max_tokens, or leave it out."
            )
    if cost_estimate.disk_bytes > room.disk_bytes:
        largest = max(cost_estimate.disk, key=lambda what: cost_estimate.disk[what])
        yield (
            f"It does not fit onto the disk: it would keep {format_bytes(cost_estimate.disk_bytes)}, most of it {largest}, "
            f"and {format_bytes(room.disk_bytes)} are free. Make room, or name another disk with --run."
        )
    if room.seconds is not None and cost_estimate.seconds > room.seconds:
        yield (
            f"It does not fit into the budget: it would take {format_seconds(cost_estimate.seconds)}, and the budget has "
            f"{format_seconds(room.seconds)}. `tuneoff compare` cuts the plan to it."
        )


@dataclass(frozen=True, kw_only=True)
class PredictedActual:
    """A line of the table: what was predicted of a part, and what it took."""

    label: str | None  # None: of no method
    name: str
    predicted: str
    actual: str
    off: str  # the time's error, as a share of what it took
    predicted_memory: str = NOTHING
    actual_memory: str = NOTHING
    memory_off: str = ""


NAMES: dict[Part, str] = {"search": "search", "confirm": "confirm", "test": "test"}


def compare_with_estimate(comparison: Comparison) -> tuple[PredictedActual, ...]:
    """Of all that has been run so far, if it was probed before; the last line is the sum."""
    return tuple(_against(comparison))


def _against(comparison: Comparison) -> Iterator[PredictedActual]:
    spending = comparison.spending
    if spending is None or spending.probe is None:
        return
    probe, recipe, trials = spending.probe, comparison.run.recipe, spending.spent.trials
    predicted_in_all = actual_in_all = 0.0
    for label in recipe.methods:
        records = [r for r in comparison.run.records if r.trial.label == label and r.trial.id in trials]
        if label not in probe.costs or not records:
            continue
        once = estimate_trunk_seconds(probe, label)
        for part in NAMES:
            each = [estimate_trial_seconds(record.trial, recipe, probe) for record in records]
            expected = [seconds[part] for seconds in each if part in seconds]
            if not expected:
                continue
            trains = probe.costs[label].step is not None
            took = sum(_took(trials[r.trial.id], part, trains=trains) for r in records)
            predicted, once = sum(expected) + once, 0.0
            predicted_in_all, actual_in_all = predicted_in_all + predicted, actual_in_all + took
            yield _line(
                label, NAMES[part], predicted, took, probe.costs[label].get_memory_bytes(part), _held(records, part)
            )
    if not actual_in_all:
        return
    apart = spending.spent.seconds - probe.probe_seconds - sum(sum(parts.values()) for parts in trials.values())
    predicted_apart = probe.shared_seconds
    yield _line(None, "reading text and model, drawing the page", predicted_apart, apart)
    yield _line(None, "in all", predicted_in_all + predicted_apart, actual_in_all + apart)


def _took(parts: Mapping[Part, float], part: Part, *, trains: bool) -> float:
    """What trains nothing has its loading and its first validation counted with its test."""
    return parts.get(part, 0.0) + (0.0 if trains or part != "test" else parts.get("confirm", 0.0))


def _held(records: list[Record], part: Part) -> int | None:
    """The most that any of the trials held in that part."""
    costs = [r.costs for r in records if r.costs and (r.trial.stage == "search") == (part == "search")]
    memories = [c.evaluation_memory if part == "test" else c.training_memory for c in costs]
    return max((m.peak_bytes or 0 for m in memories if m), default=None)


def _line(
    label: str | None, name: str, predicted: float, actual: float, memory: int | None = None, held: int | None = None
) -> PredictedActual:
    return PredictedActual(
        label=label,
        name=name,
        predicted=format_seconds(predicted),
        actual=format_seconds(actual),
        off=_off(predicted, actual),
        predicted_memory=format_bytes(memory) if memory and held else NOTHING,
        actual_memory=format_bytes(held) if memory and held else NOTHING,
        memory_off=_off(memory, held) if memory and held else "",
    )


def _off(predicted: float, actual: float) -> str:
    return f"{100 * (predicted / actual - 1):+.0f} %".replace("-", MINUS) if actual > 0 else ""
