"""Before a comparison begins: probe its methods, and cut it to its budget."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tuneoff.bill import PAGE_SECONDS, Probe, bill_of
from tuneoff.errors import BudgetError
from tuneoff.fitting import Fit, cuts, enough, fitted, smallest
from tuneoff.preparation import Preparation
from tuneoff.progress import Watch
from tuneoff.recipe import Recipe
from tuneoff.runs.spending import FIT, PROBE, Ledger, keep, read_spending


def probed(preparation: Preparation, run: Path, preparation_seconds: float, watch: Watch) -> Probe:
    """What a probe found of a run's methods: what is kept there, and the rest measured now and kept."""
    from tuneoff.probe import probe

    known = read_spending(run).probe
    if known and preparation.recipe.methods.keys() <= known.costs.keys():
        return known
    found = probe(preparation, preparation_seconds, watch, known)
    keep(found, run / PROBE)
    return found


def affordable(preparation: Preparation, run: Path, ledger: Ledger, watch: Watch) -> tuple[Recipe, float | None]:
    """The recipe as its budget allows it, and when to end: by the ledger's seconds, None where there is no budget.

    What it was cut to is kept, so that a run that goes on under the same budget goes on with the same plan.

    Raises:
        BudgetError: even the smallest plan is predicted not to fit, and nothing was run yet.
    """
    recipe, now = preparation.recipe, datetime.now().astimezone()
    if recipe.budget is None:
        (run / FIT).unlink(missing_ok=True)
        return recipe, None
    spending = read_spending(run)
    if spending.fit and spending.fit.still_holds(recipe, now):
        return spending.fit.cut(recipe), _end(spending.fit, ledger, now)
    probe = probed(preparation, run, ledger.seconds, watch)
    whole = recipe.budget.whole_seconds(ledger.seconds, now)

    def predicted(smaller: Recipe) -> float:
        return predicted_seconds(smaller, preparation, probe)

    left = fitted(recipe, whole, predicted)
    if left is None and not spending.spent.trials:
        raise BudgetError(_too_little(recipe, whole, predicted(smallest(recipe))))
    left = left or smallest(recipe)
    fit = Fit(
        budget=recipe.budget,
        configurations=left.search.configurations if left.search else None,
        seeds=left.seeds,
        whole_seconds=whole,
        asked_seconds=predicted(recipe),
        cuts=cuts(recipe, left),
        ends=recipe.budget.deadline(now) if recipe.budget.until else None,
    )
    keep(fit, run / FIT)
    return left, _end(fit, ledger, now)


def predicted_seconds(recipe: Recipe, preparation: Preparation, probe: Probe) -> float:
    """Of the whole run, its probe included."""
    return probe.probe_seconds + bill_of(recipe, preparation.text.summary, probe).seconds


def _end(fit: Fit, ledger: Ledger, now: datetime) -> float:
    """The ledger's seconds at which to stop, with time left for the page."""
    whole = fit.whole_seconds if fit.ends is None else ledger.seconds + (fit.ends - now).total_seconds()
    return whole - PAGE_SECONDS


def _too_little(recipe: Recipe, whole: float, needed: float) -> str:
    """What would fit: the smallest plan's seconds, with what is kept in reserve of any budget."""
    least = smallest(recipe)
    searched = f"{least.search.configurations} configurations of each search and " if least.search else ""
    seeds = "one seed" if len(least.seeds) == 1 else f"{len(least.seeds)} seeds"
    return (
        f"The budget allows {whole / 60:.1f} minutes, and the smallest plan ({searched}{seeds}) is predicted to take "
        f"{needed / 60:.1f}. Nothing was started. Write budget={enough(needed)}, leave methods out, or lower "
        "data.sizes.train, training.epochs or data.max_tokens."
    )
