"""Decide about a run while it goes on."""

from __future__ import annotations

import getpass
from pathlib import Path

from tuneoff.config.budget import parse_duration
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import drop_methods
from tuneoff.runs.decisions import Decision, add_decision
from tuneoff.runs.layout import RECORD, TRIALS, is_trial_id
from tuneoff.runs.live import read_workers
from tuneoff.runs.reading import read_misfits, read_recipe


def decide(
    run: str | Path,
    *,
    stop: str | None = None,
    drop: str | None = None,
    extend: str | None = None,
    why: str = "",
    by: str | None = None,
) -> Decision:
    """Record one decision, which the comparison that works on the run carries out and the report names.

    Args:
        stop: the id of a trial that runs. It ends within seconds, as a failed trial with the decision as its reason.
        drop: a method to leave out. It is trained no more, and not compared.
        extend: by how much a budget in time or money grows, such as `30m`.
        by: who decides; by default the user of this machine.

    Raises:
        RunError: not exactly one of `stop`, `drop` and `extend` is given, or it cannot be carried out.
    """
    if sum(value is not None for value in (stop, drop, extend)) != 1:
        raise RunError("Write exactly one decision: stop a trial, drop a method, or extend the budget.")
    path, by = Path(run), by or getpass.getuser()
    recipe = drop_methods(read_recipe(path), read_misfits(path))
    if stop is not None:
        _require_to_run(path, stop)
        return add_decision(path, recipe, "stop-trial", by=by, why=why, trial=stop)
    if drop is not None:
        return add_decision(path, recipe, "drop-method", by=by, why=why, method=drop)
    return add_decision(path, recipe, "extend-budget", by=by, why=why, seconds=_read_duration(extend or ""))


def _require_to_run(run: Path, trial: str) -> None:
    folder = run / TRIALS / trial  # only when it has ended, if a worker runs it
    if not is_trial_id(trial) or not (folder.is_dir() or _has_begun(run, trial)):
        raise RunError(f"There is no trial {trial!r} that has begun. `tuneoff watch --web` shows those that run.")
    if (folder / RECORD).exists():
        raise RunError(f"Trial {trial} has ended, so it cannot be stopped.")


def _has_begun(run: Path, trial: str) -> bool:
    """Return whether a process said that it runs a trial."""
    return any(event.trial == trial for process in read_workers(run) for event in process.events)


def _read_duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise RunError(f"{error}. Write a duration such as 30m.") from error
