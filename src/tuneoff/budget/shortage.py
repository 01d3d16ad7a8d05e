"""A budget that is too small even for two seeds of every method: which methods would have to be left out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence

from tuneoff.budget.shrink import (
    RESERVED_SHARE,
    format_sufficient_budget,
    get_first_round,
    get_smallest_recipe,
    propose_drops,
)
from tuneoff.errors import BudgetError
from tuneoff.recipe.recipe import Recipe, drop_methods


def explain_shortage(
    recipe: Recipe, dropped: Collection[str], budget_seconds: float, estimate_seconds: Callable[[Recipe], float]
) -> BudgetError:
    """Return an error with the cost of each method, the methods to leave out, and a budget that would be enough.

    Args:
        recipe: as written.
        dropped: methods that were already left out, which was not enough.
        estimate_seconds: returns the seconds that a recipe should take.
    """
    smallest = get_first_round(get_smallest_recipe(drop_methods(recipe, dropped)))
    needed_seconds = estimate_seconds(smallest)
    costs = {
        label: needed_seconds - estimate_seconds(drop_methods(smallest, [label]))
        for label, method in smallest.methods.items()
        if method.trains
    }
    available = (1 - RESERVED_SHARE) * budget_seconds
    keep = 1 if len(costs) < len(smallest.methods) else 2  # something must remain to compare with
    proposed = propose_drops(costs, needed_seconds - available, keep)
    drops = (*dropped, *proposed) if proposed else ()
    listed = ", ".join(f"{label} {format_minutes(seconds)}" for label, seconds in _sort_by_cost(costs))
    remedy = f" Leave out {_join(proposed)}: {_format_flags(drops)}. Or" if proposed else " Leave out methods, or"
    return BudgetError(
        f"The budget allows {format_minutes(budget_seconds)}, but even the smallest plan ({_describe(smallest)}) "
        f"should take {format_minutes(needed_seconds)}. Nothing was started. Of this time, the methods take: {listed}."
        f"{remedy} write budget={format_sufficient_budget(needed_seconds)}, or lower data.sizes.train, "
        "training.epochs or data.max_tokens.",
        drops,
    )


def format_minutes(seconds: float) -> str:
    """Return the seconds in minutes, such as `1,234.5 min`; below ten minutes in seconds, such as `37 s`."""
    return f"{seconds / 60:,.1f} min" if seconds >= 600 else f"{seconds:.0f} s"


def _sort_by_cost(costs: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(costs.items(), key=lambda cost: -cost[1])


def _describe(smallest: Recipe) -> str:
    methods = f"{len(smallest.methods)} methods, "
    searched = f"{smallest.search.configurations} configurations per search, " if smallest.search else ""
    return f"{methods}{searched}{len(smallest.seeds)} seed{'s' if len(smallest.seeds) > 1 else ''}"


def _join(labels: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(labels[:-1]), labels[-1]]))


def _format_flags(labels: Sequence[str]) -> str:
    """Return what to add to the command, with labels quoted for a shell where they need it."""
    return "add " + " ".join(f"--drop {shlex.quote(label)}" for label in labels)
