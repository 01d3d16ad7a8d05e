"""What people decided about a run while it went on: one line for each decision, kept with who decided, when and why.

RUN/decisions.jsonl

The comparison that works on the run reads it between trials and, to stop a trial, within one. A report says what was
decided. Nothing is ever taken out, so a run that is continued goes on as it was decided.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from tuneoff.config.base import Options
from tuneoff.config.budget import BudgetOptions, parse_duration
from tuneoff.errors import RunError, suggest
from tuneoff.recipe.recipe import Recipe, drop_methods
from tuneoff.system.checksums import hash_text

FILE = "decisions.jsonl"
CHECKSUM = "sha256"  # the key of a line's checksum
MOST_SECONDS = 100 * 86_400.0
Kind = Literal["stop-trial", "drop-method", "extend-budget", "retry"]


class Decision(Options):
    """One line."""

    at: datetime
    by: str = Field(max_length=100)
    kind: Kind
    why: str = Field("", max_length=500)
    trial: str | None = None  # its id, to stop it; void after a later `retry`
    method: str | None = None  # its label, to leave it out
    seconds: float | None = Field(None, gt=0, le=MOST_SECONDS)  # by which the budget grows

    def describe(self) -> str:
        """Say who decided when and why, as the end of a sentence."""
        return f"by {self.by} on {self.at:%Y-%m-%d %H:%M} UTC{f': {self.why}' if self.why else ''}"

    def describe_whole(self) -> str:
        """Say what was decided, by whom, when and why."""
        match self.kind:
            case "stop-trial":
                what = f"Trial {self.trial} was stopped"
            case "drop-method":
                what = f"{self.method} was left out"
            case "extend-budget":
                what = f"The budget was extended by {(self.seconds or 0) / 60:.0f} min"
            case "retry":
                what = "Failed trials were run again"
        return f"{what} {self.describe()}."


def read_decisions(run: Path) -> tuple[Decision, ...]:
    """Read the decisions of a run, the first one first. A damaged or half written line is left out with a message."""
    decisions = []
    try:
        lines = (run / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            if values.pop(CHECKSUM, None) not in {None, _hash(values)}:  # None: of an earlier version
                raise ValueError("it does not match its checksum")
            decisions.append(Decision.model_validate(values))
        except (ValueError, AttributeError):
            _warn_once(run / FILE, number, line)
    return tuple(decisions)


@cache
def _warn_once(file: Path, number: int, _line: bytes) -> None:
    """Say that a line does not count. A comparison reads its decisions again and again."""
    logging.getLogger(__name__).warning("Line %d of %s cannot be read, so that decision does not count.", number, file)


def _hash(values: Mapping[str, Any]) -> str:  # Any: JSON
    return hash_text(json.dumps(values, sort_keys=True))


def add_decision(
    run: Path, recipe: Recipe, kind: Kind, *, by: str, why: str = "", trial: str | None = None,
    method: str | None = None, seconds: float | None = None,
) -> Decision:  # fmt: skip
    """Record a decision, after a check that it can be carried out.

    Raises:
        RunError: it cannot.
    """
    values = {"kind": kind, "by": by, "why": why, "trial": trial, "method": method, "seconds": seconds}
    try:
        decision = Decision.model_validate({**values, "at": datetime.now(UTC).replace(microsecond=0)})
    except ValidationError as error:
        raise RunError(f"This is no decision: {error.errors()[0]['msg']}.") from error
    known = read_decisions(run)
    _require_possible(decision, recipe, known)
    values = decision.model_dump(mode="json", exclude_none=True)
    line = json.dumps({**values, CHECKSUM: _hash(values)}, ensure_ascii=False) + "\n"
    file = os.open(run / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        os.write(file, line.encode())  # one write, so that lines of two people do not mix
        os.fsync(file)
    finally:
        os.close(file)
    return decision


def _require_possible(decision: Decision, recipe: Recipe, known: Sequence[Decision]) -> None:
    dropped = list_dropped(known)
    match decision.kind:
        case "drop-method":
            label = decision.method or ""
            if label not in recipe.methods:
                raise RunError(f"There is no method {label!r} to leave out.{suggest(label, recipe.methods)}")
            if label in dropped:
                raise RunError(f"{label} was left out already, {dropped[label].describe()}.")
            left = [name for name, method in recipe.methods.items() if name not in {*dropped, label}]
            if not any(recipe.methods[name].depends_on_seed for name in left):
                raise RunError(f"Without {label} there would be nothing to compare. Stop the run instead.")
        case "stop-trial" if not decision.trial:
            raise RunError("Name the trial to stop by its id.")
        case "extend-budget":
            if recipe.budget is None:
                raise RunError("The run has no budget to extend: it goes on until it is done.")
            if recipe.budget.until:
                raise RunError("A budget that ends at a time of day cannot be extended while it runs.")
            if decision.seconds is None:
                raise RunError("Say by how much the budget grows, such as 30m.")


def list_dropped(decisions: Sequence[Decision]) -> dict[str, Decision]:
    """Return the methods that are left out, with the decision, by label."""
    return {decision.method: decision for decision in decisions if decision.kind == "drop-method" and decision.method}


def list_stopped(decisions: Sequence[Decision]) -> dict[str, Decision]:
    """Return the trials to stop, with the decision, by trial id. Running failed trials again voids what was before."""
    stopped: dict[str, Decision] = {}
    for decision in decisions:
        if decision.kind == "retry":
            stopped.clear()
        elif decision.kind == "stop-trial" and decision.trial:
            stopped[decision.trial] = decision
    return stopped


def apply_decisions(recipe: Recipe, decisions: Sequence[Decision]) -> Recipe:
    """Return the recipe without the methods that are left out, and with its budget extended."""
    recipe = drop_methods(recipe, list_dropped(decisions).keys() & recipe.methods.keys())
    seconds = sum(decision.seconds or 0.0 for decision in decisions if decision.kind == "extend-budget")
    if recipe.budget is None or not seconds:
        return recipe
    return recipe.model_copy(update={"budget": _extend(recipe.budget, seconds)})


def _extend(budget: BudgetOptions, seconds: float) -> BudgetOptions:
    if budget.time is not None:
        return budget.model_copy(update={"time": f"{parse_duration(budget.time) + seconds:.0f}s"})
    if budget.money is not None and budget.price_per_hour is not None:
        return budget.model_copy(update={"money": budget.money + seconds / 3600 * budget.price_per_hour})
    return budget
