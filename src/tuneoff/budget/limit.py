"""Before a comparison begins: probe its methods, and cut it to its budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuneoff.budget.estimate import PAGE_SECONDS, Probe, bill_of, seconds_of
from tuneoff.budget.ledger import FIT, PROBE, Ledger, keep, read_spending
from tuneoff.budget.shrink import Fit, cuts, enough, fitted, size_of, smallest
from tuneoff.config.budget import BudgetOptions
from tuneoff.errors import BudgetError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.watch import Watch


def probed(preparation: Preparation, run: Path, preparation_seconds: float, watch: Watch) -> Probe:
    """What a probe found of a run's methods: what is kept there, and the rest measured now and kept."""
    from tuneoff.budget.profiler import probe

    known = read_spending(run).probe
    if known and preparation.recipe.methods.keys() <= known.costs.keys() | known.refused.keys():
        return known
    found = probe(preparation, preparation_seconds, watch, known)
    keep(found, run / PROBE)
    return found


@dataclass(frozen=True, kw_only=True)
class Affordable:
    """What a budget allows: a recipe, and no trial that would go beyond the end."""

    recipe: Recipe
    ledger: Ledger
    end: float | None = None  # by the ledger's seconds, with time left for the page; None: there is no budget

    def over(self) -> str | None:
        """That the budget is, as a reason to stop; None while it lasts."""
        return "the budget is over" if self.end is not None and self.ledger.seconds >= self.end else None

    def has_room(self, trial: Trial) -> bool:
        """Whether a trial is predicted to end in time; what an interrupted one has done need not be done again."""
        if self.end is None:
            return True
        probe = read_spending(self.ledger.run).probe
        takes = sum(seconds_of(trial, self.recipe, probe).values()) if probe else 0.0
        return self.ledger.seconds + max(0.0, takes - self.ledger.seconds_of(trial)) <= self.end


def affordable(preparation: Preparation, ledger: Ledger, watch: Watch) -> Affordable:
    """The recipe as its budget allows it. What it was cut to is kept, so that a run that goes on under the same budget
    goes on with the same plan.

    Raises:
        BudgetError: even the smallest plan is predicted not to fit, and nothing was run yet.
    """
    recipe, run, now = preparation.recipe, ledger.run, datetime.now().astimezone()
    if recipe.budget is None:
        (run / FIT).unlink(missing_ok=True)
        return Affordable(recipe=recipe, ledger=ledger)
    spending = read_spending(run)
    fit = spending.fit if spending.fit and spending.fit.still_holds(recipe, now) else None
    if fit is None:
        probe = probed(preparation, run, ledger.seconds, watch)
        fit = _fit(preparation, probe, recipe.budget, ledger.seconds, now, begun=bool(spending.spent.trials))
        keep(fit, run / FIT)
    watch.says(in_words(fit, ledger.seconds))
    whole = fit.whole_seconds if fit.ends is None else ledger.seconds + (fit.ends - now).total_seconds()
    return Affordable(recipe=fit.cut(recipe), ledger=ledger, end=whole - PAGE_SECONDS)


def _fit(
    preparation: Preparation, probe: Probe, budget: BudgetOptions, spent: float, now: datetime, *, begun: bool
) -> Fit:
    recipe, whole = preparation.recipe, budget.whole_seconds(spent, now)

    def predicted(smaller: Recipe) -> float:
        return predicted_seconds(smaller, preparation, probe)

    left = fitted(recipe, whole, predicted)
    if left is None and not begun:
        raise BudgetError(_too_little(recipe, whole, predicted(smallest(recipe))))
    left = left or smallest(recipe)
    return Fit(
        budget=budget,
        asked=size_of(recipe),
        left=size_of(left),
        whole_seconds=whole,
        predicted_seconds=predicted(left),
        asked_seconds=predicted(recipe),
        cuts=cuts(recipe, left),
        ends=budget.deadline(now) if budget.until else None,
    )


def predicted_seconds(recipe: Recipe, preparation: Preparation, probe: Probe) -> float:
    """Of the whole run, its probe included."""
    return probe.probe_seconds + bill_of(recipe, preparation.text.summary, probe).seconds


def in_words(fit: Fit, spent: float) -> str:
    """What the budget allows, and what was cut for it, for whoever starts the run."""
    cut = f", cut for all methods alike to {' and '.join(fit.cuts)}" if fit.cuts else ", nothing of it cut"
    return (
        f"Budget: {_minutes(fit.whole_seconds)}, of which {_minutes(spent)} are spent. "
        f"The plan is predicted to take {_minutes(fit.predicted_seconds)} in all{cut}."
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min"


def _too_little(recipe: Recipe, whole: float, needed: float) -> str:
    """What would fit: the smallest plan's seconds, with what is kept in reserve of any budget."""
    least = smallest(recipe)
    searched = f"{least.search.configurations} configurations of each search and " if least.search else ""
    seeds = "one seed" if len(least.seeds) == 1 else f"{len(least.seeds)} seeds"
    return (
        f"The budget allows {_minutes(whole)}, and the smallest plan ({searched}{seeds}) is predicted to take "
        f"{_minutes(needed)}. Nothing was started. Write budget={enough(needed)}, leave methods out, or lower "
        "data.sizes.train, training.epochs or data.max_tokens."
    )
