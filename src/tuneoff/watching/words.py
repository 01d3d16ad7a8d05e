"""A view in words and rows, which the terminal, the page and the notebook share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_bytes, format_seconds, format_share
from tuneoff.runs.live import Event
from tuneoff.watching.view import Curve, TrialView, View

MARKS = {"done": "✓", "diverged": "↯", "failed": "✗", "running": "▶", "interrupted": "‖"}
BLOCKS = "▁▂▃▄▅▆▇█"


def describe_state(view: View) -> str:
    """Say whether the run goes on, and since when nothing moved if it does not."""
    moved = f"nothing has moved since {format_clock(view.last_moved)}" if view.last_moved else "nothing has moved yet"
    match view.state:
        case "running":
            return "running"
        case "finished":
            return f"finished {format_clock(view.last_moved)}" if view.last_moved else "finished"
        case "silent":
            return f"{moved}, and no process said that it stopped: it may have died. The same command continues it"
        case "stopped":
            return f"not running: {moved}"
        case _:
            return f"no trial has begun: {moved}"


def describe_time(view: View) -> str:
    """Say how much was spent, and how much is left, in time and money."""
    parts = [f"{format_seconds(view.spent_seconds)} used"]
    if view.budget_seconds:
        parts[0] += f" of {format_seconds(view.budget_seconds)}"
    if view.money is not None:
        parts.append(f"{view.money:,.2f} spent")
    if view.left_seconds and view.state == "running":
        at_most = "at most" if any(count.is_most for count in view.plan.values()) else "about"
        parts.append(
            f"{at_most} {format_seconds(view.left_seconds)} left, until {format_clock(view.now + view.left_seconds)}"
        )
    elif view.left_seconds is None and view.state == "running":
        parts.append("the end can be estimated when a first trial of each stage is done")
    return " · ".join(parts)


def name_trial(trial: TrialView) -> str:
    """Name a trial by its method, and by its seed or by how far its search trains it."""
    label = escape_control(trial.label)
    return (
        f"{label}, seed {trial.seed}" if trial.stage == "confirm" else f"{label}, search to {format_share(trial.share)}"
    )


def describe_progress(event: Event | None) -> str:
    """Say how far a running trial is, how fast, and in how much memory."""
    if event is None:
        return "starting"
    parts = [f"epoch {event.epoch} of {event.epochs}" if event.epochs else escape_control(event.phase or "")]
    if event.of:
        parts[0] += f", {event.done} of {event.of}"
    if event.loss is not None:
        parts.append(f"loss {event.loss:.3f}")
    if event.tokens_per_second is not None:
        parts.append(f"{event.tokens_per_second:,.0f} tokens/s")
    if event.memory_bytes:
        parts.append(format_bytes(event.memory_bytes))
    return " · ".join(parts)


def format_clock(at: float | None) -> str:
    """Format a moment on the clock of who looks on, with the day unless it is today."""
    if at is None:
        return "–"
    moment, today = datetime.fromtimestamp(at).astimezone(), datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"


def draw_sparkline(curve: Curve, width: int) -> str:
    """Draw a curve as a line of blocks, the lowest value as the lowest block."""
    values = [value for _, value in curve if math.isfinite(value)]
    if not values:
        return ""
    chosen = values if len(values) <= width else [values[i * (len(values) - 1) // (width - 1)] for i in range(width)]
    low, high = min(chosen), max(chosen)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in chosen)


def group_by_label(trials: Sequence[TrialView]) -> dict[str, list[TrialView]]:
    """Return the trials of each method, in the order in which the methods began."""
    groups: dict[str, list[TrialView]] = {}
    for trial in trials:
        groups.setdefault(trial.label, []).append(trial)
    return groups
