"""Before a comparison begins: probe its methods, and cut it to its budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuneoff.budget.estimate import estimate_cost, estimate_trial_seconds
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.probe import PAGE_SECONDS, Probe
from tuneoff.budget.shrink import (
    Fit,
    describe_cuts,
    format_sufficient_budget,
    get_size,
    get_smallest_recipe,
    shrink_to_fit,
)
from tuneoff.budget.spending import FIT_FILE, PROBE_FILE, read_spending, save_options
from tuneoff.config.budget import BudgetOptions
from tuneoff.errors import BudgetError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener
from tuneoff.runner.prepare import Preparation


def load_or_run_probe(preparation: Preparation, run: Path, preparation_seconds: float, listener: Listener) -> Probe:
    """What a probe found of a run's methods: what is kept there, and the rest measured now and kept."""
    from tuneoff.budget.profiler import run_probe

    known = read_spending(run).probe
    if known and preparation.recipe.methods.keys() <= known.costs.keys() | known.refused.keys():
        return known
    found = run_probe(preparation, preparation_seconds, listener, known)
    save_options(found, run / PROBE_FILE)
    return found


@dataclass(frozen=True, kw_only=True)
class AffordablePlan:
    """What a budget allows: a recipe, and no trial that would go beyond the end."""

    recipe: Recipe
    ledger: Ledger
    end: float | None = None  # by the ledger's seconds, with time left for the page; None: there is no budget

    def get_stop_reason(self) -> str | None:
        """That the budget is, as a reason to stop; None while it lasts."""
        return "the budget is over" if self.end is not None and self.ledger.seconds >= self.end else None

    def fits_budget(self, trial: Trial) -> bool:
        """Whether a trial is predicted to end in time; what an interrupted one has done need not be done again."""
        if self.end is None:
            return True
        probe = read_spending(self.ledger.run).probe
        takes = sum(estimate_trial_seconds(trial, self.recipe, probe).values()) if probe else 0.0
        return self.ledger.seconds + max(0.0, takes - self.ledger.get_trial_seconds(trial)) <= self.end


def fit_to_budget(preparation: Preparation, ledger: Ledger, listener: Listener) -> AffordablePlan:
    """The recipe as its budget allows it. What it was cut to is kept, so that a run that goes on under the same budget
    goes on with the same plan.

    Raises:
        BudgetError: even the smallest plan is predicted not to fit, and nothing was run yet.
    """
    recipe, run, now = preparation.recipe, ledger.run, datetime.now().astimezone()
    if recipe.budget is None:
        (run / FIT_FILE).unlink(missing_ok=True)
        return AffordablePlan(recipe=recipe, ledger=ledger)
    spending = read_spending(run)
    fit = spending.fit if spending.fit and spending.fit.still_applies(recipe, now) else None
    if fit is None:
        probe = load_or_run_probe(preparation, run, ledger.seconds, listener)
        fit = _compute_fit(preparation, probe, recipe.budget, ledger.seconds, now, begun=bool(spending.spent.trials))
        save_options(fit, run / FIT_FILE)
    listener.on_message(describe_fit(fit, ledger.seconds))
    whole = fit.whole_seconds if fit.ends is None else ledger.seconds + (fit.ends - now).total_seconds()
    return AffordablePlan(recipe=fit.shrink(recipe), ledger=ledger, end=whole - PAGE_SECONDS)


def _compute_fit(
    preparation: Preparation, probe: Probe, budget: BudgetOptions, spent: float, now: datetime, *, begun: bool
) -> Fit:
    recipe, whole = preparation.recipe, budget.compute_total_seconds(spent, now)

    def predicted(smaller: Recipe) -> float:
        return predict_seconds(smaller, preparation, probe)

    left = shrink_to_fit(recipe, whole, predicted)
    if left is None and not begun:
        raise BudgetError(_explain_too_small(recipe, whole, predicted(get_smallest_recipe(recipe))))
    left = left or get_smallest_recipe(recipe)
    return Fit(
        budget=budget,
        asked=get_size(recipe),
        left=get_size(left),
        whole_seconds=whole,
        predicted_seconds=predicted(left),
        asked_seconds=predicted(recipe),
        cuts=describe_cuts(recipe, left),
        ends=budget.compute_deadline(now) if budget.until else None,
    )


def predict_seconds(recipe: Recipe, preparation: Preparation, probe: Probe) -> float:
    """Of the whole run, its probe included."""
    return probe.probe_seconds + estimate_cost(recipe, preparation.text.summary, probe).seconds


def describe_fit(fit: Fit, spent: float) -> str:
    """What the budget allows, and what was cut for it, for whoever starts the run."""
    cut = f", cut for all methods alike to {' and '.join(fit.cuts)}" if fit.cuts else ", nothing of it cut"
    return (
        f"Budget: {_format_minutes(fit.whole_seconds)}, of which {_format_minutes(spent)} are spent. "
        f"The plan is predicted to take {_format_minutes(fit.predicted_seconds)} in all{cut}."
    )


def _format_minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min"


def _explain_too_small(recipe: Recipe, whole: float, needed: float) -> str:
    """What would fit: the smallest plan's seconds, with what is kept in reserve of any budget."""
    least = get_smallest_recipe(recipe)
    searched = f"{least.search.configurations} configurations of each search and " if least.search else ""
    seeds = "one seed" if len(least.seeds) == 1 else f"{len(least.seeds)} seeds"
    return (
        f"The budget allows {_format_minutes(whole)}, and the smallest plan ({searched}{seeds}) is predicted to take "
        f"{_format_minutes(needed)}. Nothing was started. Write budget={format_sufficient_budget(needed)}, leave "
        "methods out, or lower data.sizes.train, training.epochs or data.max_tokens."
    )
