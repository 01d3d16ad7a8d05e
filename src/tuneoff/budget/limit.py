"""Before a comparison starts: probe its methods, and reduce it to fit its budget."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuneoff.budget.estimate import estimate_cost, estimate_trial_seconds
from tuneoff.budget.floor import require_time_to_probe
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.probe import REPORT_SECONDS, Probe
from tuneoff.budget.shortage import explain_shortage, format_minutes
from tuneoff.budget.shrink import (
    Fit,
    describe_cuts,
    get_first_round,
    get_size,
    get_smallest_recipe,
    shrink_to_fit,
)
from tuneoff.budget.spending import FIT_FILE, PROBE_FILE, read_spending, save_json
from tuneoff.config.budget import BudgetOptions
from tuneoff.recipe.recipe import Recipe, drop_methods
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener
from tuneoff.runner.prepare import Preparation


def load_or_run_probe(preparation: Preparation, run: Path, preparation_seconds: float, listener: Listener) -> Probe:
    """Return the probe stored with a run, after measuring and storing the methods that it does not have yet."""
    from tuneoff.budget.profiler import run_probe

    known = read_spending(run, preparation.setting).probe
    if known and preparation.recipe.methods.keys() <= known.costs.keys() | known.refused.keys():
        return known
    probe = run_probe(preparation, preparation_seconds, listener, known)
    save_json(probe, run / PROBE_FILE)
    return probe


@dataclass(frozen=True, kw_only=True)
class AffordablePlan:
    """What a budget allows: a recipe, and the trials that should finish before the budget ends."""

    recipe: Recipe
    ledger: Ledger
    end_seconds: float | None = None  # by the ledger, with time left to write the report; None: there is no budget

    def get_stop_reason(self) -> str | None:
        """Return why to stop once the budget has ended; None before that."""
        has_ended = self.end_seconds is not None and self.ledger.seconds >= self.end_seconds
        return "the budget is used up" if has_ended else None

    def fits_budget(self, trial: Trial) -> bool:
        """Return whether the trial should finish before the budget ends.

        Work saved by an interrupted attempt does not count again.
        """
        if self.end_seconds is None:
            return True
        probe = read_spending(self.ledger.run).probe
        trial_seconds = sum(estimate_trial_seconds(trial, self.recipe, probe).values()) if probe else 0.0
        remaining_seconds = max(0.0, trial_seconds - self.ledger.get_trial_seconds(trial))
        return self.ledger.seconds + remaining_seconds <= self.end_seconds


def fit_to_budget(
    preparation: Preparation, ledger: Ledger, listener: Listener, drop: Collection[str] = ()
) -> AffordablePlan:
    """Reduce the recipe to fit its budget, and send the listener a message about it.

    The reduction is stored, so that a run that resumes under the same budget keeps its plan. A run that goes on until
    it is decided keeps its search under any budget: what its looks decided is about the configurations that it chose.

    Args:
        drop: methods that may be left out if not even the smallest plan of all methods should fit.

    Raises:
        BudgetError: not even the smallest plan should fit, and the run has no trials yet.
    """
    recipe, run, now = preparation.recipe, ledger.run, datetime.now().astimezone()
    spending = read_spending(run, preparation.setting)
    kept = spending.fit if recipe.until_decided and spending.spent.trials else None
    if recipe.budget is None:
        if kept:
            save_json(
                kept.model_copy(update={"left": get_size(kept.keep_search(recipe)), "dropped": ()}), run / FIT_FILE
            )
            return AffordablePlan(recipe=kept.keep_search(recipe), ledger=ledger)
        (run / FIT_FILE).unlink(missing_ok=True)
        return AffordablePlan(recipe=recipe, ledger=ledger)
    fit = spending.fit if spending.fit and spending.fit.still_applies(recipe, now) else None
    if fit is None:
        if spending.probe is None and not spending.spent.trials:
            require_time_to_probe(preparation, recipe.budget, ledger.seconds, now)
        probe = load_or_run_probe(preparation, run, ledger.seconds, listener)
        has_trials = bool(spending.spent.trials)
        fit = _compute_fit(preparation, probe, recipe.budget, ledger.seconds, now, drop, kept, has_trials=has_trials)
        save_json(fit, run / FIT_FILE)
    listener.on_message(describe_fit(fit, ledger.seconds, may_end_early=recipe.until_decided is not None))
    end = fit.whole_seconds if fit.ends is None else ledger.seconds + (fit.ends - now).total_seconds()
    return AffordablePlan(recipe=fit.shrink(recipe), ledger=ledger, end_seconds=end - REPORT_SECONDS)


def _compute_fit(
    preparation: Preparation,
    probe: Probe,
    budget: BudgetOptions,
    spent: float,
    now: datetime,
    drop: Collection[str],
    kept: Fit | None,
    *,
    has_trials: bool,
) -> Fit:
    recipe, budget_seconds = preparation.recipe, budget.compute_total_seconds(spent, now)

    def estimate_seconds(candidate: Recipe) -> float:
        return estimate_run_seconds(get_first_round(candidate), preparation, probe)

    dropped: tuple[str, ...] = ()
    allowed = kept.keep_search(recipe) if kept else recipe
    reduced = shrink_to_fit(allowed, budget_seconds, estimate_seconds)
    if reduced is None and drop:
        dropped = tuple(label for label in recipe.methods if label in drop)
        reduced = shrink_to_fit(drop_methods(allowed, dropped), budget_seconds, estimate_seconds)
    if reduced is None and not has_trials:
        raise explain_shortage(recipe, dropped, budget_seconds, estimate_seconds)
    reduced = drop_methods(allowed, dropped) if kept else reduced or get_smallest_recipe(drop_methods(recipe, dropped))
    return Fit(
        setting=preparation.setting.fingerprint,
        budget=budget,
        asked=get_size(recipe),
        left=get_size(reduced),
        whole_seconds=budget_seconds,
        predicted_seconds=_predict_seconds(reduced, budget_seconds, preparation, probe),
        asked_seconds=estimate_run_seconds(recipe, preparation, probe),
        cuts=describe_cuts(recipe, reduced),
        ends=budget.compute_deadline(now) if budget.until else None,
        dropped=dropped,
    )


def _predict_seconds(recipe: Recipe, budget_seconds: float, preparation: Preparation, probe: Probe) -> float:
    """Estimate a reduced recipe. One that runs until decided goes on until then or until the end of the budget."""
    seconds = estimate_run_seconds(recipe, preparation, probe)
    return min(seconds, budget_seconds) if recipe.until_decided else seconds


def estimate_run_seconds(recipe: Recipe, preparation: Preparation, probe: Probe) -> float:
    """Estimate the seconds of the whole run, including its probe."""
    return probe.probe_seconds + estimate_cost(recipe, preparation.text.summary, probe).seconds


def describe_fit(fit: Fit, spent_seconds: float, *, may_end_early: bool = False) -> str:
    """Return the message about a budget: what it allows, and how the plan was reduced to fit it."""
    at_most = "at most " if may_end_early else ""
    cuts = f" It was reduced by the same amount for every method: {' and '.join(fit.cuts)}." if fit.cuts else ""
    dropped = f" Left out: {', '.join(fit.dropped)}." if fit.dropped else ""
    return (
        f"Budget: {format_minutes(fit.whole_seconds)}. Used so far: {format_minutes(spent_seconds)}. "
        f"The plan should take {at_most}{format_minutes(fit.predicted_seconds)} in total.{cuts}{dropped}"
    )
