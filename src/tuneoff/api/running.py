"""Run the missing trials of a comparison, as people decide meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tuneoff.api.crew import Crew, open_engine
from tuneoff.api.rounds import run_until_decided
from tuneoff.budget.ledger import PLANNING, Ledger, MeteredListener
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.runner.deciding import DecidedListener, DecisionWatch
from tuneoff.runner.listener import Listener
from tuneoff.runner.plan import select_records
from tuneoff.runs import RunDirectory
from tuneoff.runs.decisions import add_decision, apply_decisions, read_decisions
from tuneoff.system.interrupts import Stopped, StopRequest, stop_on_signals

if TYPE_CHECKING:
    from tuneoff.budget.limit import AffordablePlan
    from tuneoff.config.data import DataOptions
    from tuneoff.runner.prepare import Preparation


@dataclass(frozen=True)
class Plan:
    """What is to be run, until somebody decides otherwise."""

    affordable: AffordablePlan
    preparation: Preparation
    decided: DecisionWatch

    def find_stop_reason(self) -> str | None:
        """Return why to stop; None where somebody may just have extended the budget."""
        reason = self.affordable.get_stop_reason()
        return None if reason and self.decided.has_new_plan() else reason


def run_as_decided(
    crew: Crew,
    recipe: Recipe,
    data_now: DataOptions,
    preparation: Preparation,
    directory: RunDirectory,
    ledger: Ledger,
    listener: Listener,
    drop: Sequence[str],
) -> AffordablePlan:
    """Run the missing trials, and plan anew when somebody leaves a method out or extends the budget.

    Such a decision has the effect of stopping the run after the trial that runs, and going on without the method or
    with a larger budget.
    """
    make_plan = partial(_make_plan, preparation, directory, ledger, listener, drop)
    plans = [make_plan()]
    stop = StopRequest(find_reason=lambda: plans[-1].find_stop_reason())
    with (
        stop_on_signals(stop),
        _end_with_budget(lambda: plans[-1].affordable.get_stop_reason()),
        open_engine(crew, recipe, data_now, preparation, directory, stop) as run_trials,
    ):
        while True:
            plan = plans[-1]

            def run_part(part: Recipe, listener: Listener, plan: Plan = plan) -> None:
                metered: Listener = MeteredListener(listener, ledger)
                if crew.engine is None:  # workers carry out themselves what is decided about a trial
                    metered = DecidedListener(metered, directory.path, plan.decided)
                run_trials(
                    part, plan.preparation, directory, metered, stop=stop,
                    fits_budget=lambda trial: not plan.decided.has_new_plan() and plan.affordable.fits_budget(trial),
                )  # fmt: skip

            if plan.affordable.recipe.until_decided:
                read = partial(read_selected, plan.affordable, plan.preparation, directory)
                run_until_decided(plan.affordable.recipe, read, run_part, listener)
            else:
                run_part(plan.affordable.recipe, listener)
            if not plan.decided.has_new_plan():
                break
            plans.append(make_plan())
    return plans[-1].affordable


def _make_plan(
    preparation: Preparation, directory: RunDirectory, ledger: Ledger, listener: Listener, drop: Sequence[str]
) -> Plan:
    from tuneoff.budget.limit import fit_to_budget

    decided = DecisionWatch(directory.path)
    current = replace(preparation, recipe=apply_decisions(preparation.recipe, decided.decisions))
    ledger.begin_phase(PLANNING)
    return Plan(fit_to_budget(current, ledger, listener, drop), current, decided)


def read_selected(affordable: AffordablePlan, preparation: Preparation, directory: RunDirectory) -> tuple[Record, ...]:
    """Read the records that the plan asks for."""
    return select_records(affordable.recipe, directory.read_records(), preparation.text.summary.train_samples)


def retry_failed(directory: RunDirectory, recipe: Recipe) -> None:
    """Have failed trials run again, also those that somebody stopped."""
    from tuneoff.runner.local_engine import reset_failed

    reset_failed(directory)
    if read_decisions(directory.path):
        add_decision(directory.path, recipe, "retry", by="--retry")


@contextlib.contextmanager
def _end_with_budget(get_reason: Callable[[], str | None]) -> Iterator[None]:
    """Continue after the block when the budget stopped it, so that the trials so far are reported."""
    try:
        yield
    except Stopped as stopped:
        if stopped.reason != get_reason():
            raise
