"""Reduce a recipe to fit its budget: first fewer configurations per search, then fewer seeds, but not one. Pure.

Every method is reduced by the same amount, so that the comparison stays fair. With one seed, how far another training
would move is not known, and no method could be called better. So where not even two seeds fit, methods must be left
out, and the user decides which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime

from tuneoff.config.base import Options
from tuneoff.config.budget import BudgetOptions
from tuneoff.recipe.recipe import Recipe, drop_methods

MIN_CONFIGURATIONS = 4  # a search over fewer has little to choose from
MIN_SEEDS = 2  # with one, the variation between trainings is not known
RESERVED_SHARE = 0.1  # of a budget, because an estimate is off by about as much


class Size(Options):
    """How large a comparison is."""

    methods: tuple[str, ...]
    configurations: int | None  # of each search; None: there is no search
    seeds: tuple[int, ...]


class Fit(Options):
    """How a recipe was reduced, and for which budget. It is stored, so that a resumed run keeps its plan."""

    budget: BudgetOptions
    asked: Size  # of the recipe as written
    left: Size  # of the reduced recipe
    whole_seconds: float  # that the budget allows
    predicted_seconds: float  # estimated for the reduced recipe
    asked_seconds: float  # estimated for the recipe as written
    cuts: tuple[str, ...]  # each reduction as text; empty if the recipe fits as written
    ends: datetime | None = None  # for a budget that lasts until a time of day
    dropped: tuple[str, ...] = ()  # methods left out, as the user decided
    setting: str | None = None  # its fingerprint; None: of an older version

    def shrink(self, recipe: Recipe) -> Recipe:
        """Return the recipe reduced to this size."""
        return _resize(drop_methods(recipe, self.dropped), self.left.configurations, self.left.seeds)

    def keep_search(self, recipe: Recipe) -> Recipe:
        """Return the recipe with at most as many configurations as it has here, and all its methods and seeds."""
        return _resize(recipe, self.left.configurations, recipe.seeds)

    def still_applies(self, recipe: Recipe, now: datetime) -> bool:
        """Return whether the recipe has the same size and budget as then, and the budget has not ended.

        Earlier versions also cut to a single seed. Such a reduction is made again.
        """
        is_unchanged = self.asked == get_size(recipe) and self.budget == recipe.budget
        has_enough_seeds = len(self.left.seeds) >= min(MIN_SEEDS, len(self.asked.seeds))
        return is_unchanged and has_enough_seeds and (self.ends is None or now < self.ends)


def get_size(recipe: Recipe) -> Size:
    """Return the size of a recipe as written."""
    configurations = recipe.search.configurations if recipe.search else None
    return Size(methods=tuple(recipe.methods), configurations=configurations, seeds=recipe.seeds)


def shrink_to_fit(recipe: Recipe, seconds: float, estimate_seconds: Callable[[Recipe], float]) -> Recipe | None:
    """Return the largest reduced recipe whose estimate fits into the budget, less its reserve; None if none does.

    Args:
        seconds: the budget.
        estimate_seconds: returns the seconds that a recipe should take.
    """
    available = (1 - RESERVED_SHARE) * seconds
    candidates = iterate_smaller_recipes(recipe)
    return next((candidate for candidate in candidates if estimate_seconds(candidate) <= available), None)


def format_sufficient_budget(seconds: float) -> str:
    """Return the smallest budget in whole minutes that a plan of `seconds` fits into, as it is written in a recipe."""
    minutes = math.ceil(seconds / (1 - RESERVED_SHARE) / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest}m" if hours else f"{rest}m"


def iterate_smaller_recipes(recipe: Recipe) -> Iterator[Recipe]:
    """Yield the recipe itself, then smaller and smaller ones."""
    most = recipe.search.configurations if recipe.search else None
    counts: list[int | None] = [*range(most, min(most, MIN_CONFIGURATIONS) - 1, -1)] if most else [None]
    for configurations in counts:
        yield _resize(recipe, configurations, recipe.seeds)
    fewest_seeds = len(recipe.seeds) if recipe.until_decided else MIN_SEEDS  # it may end with any number of them
    for seeds in range(len(recipe.seeds) - 1, fewest_seeds - 1, -1):
        yield _resize(recipe, counts[-1], recipe.seeds[:seeds])


def get_smallest_recipe(recipe: Recipe) -> Recipe:
    """Return the last of the smaller recipes."""
    *_, smallest = iterate_smaller_recipes(recipe)
    return smallest


def narrow_recipe(recipe: Recipe, labels: Collection[str], seeds: tuple[int, ...]) -> Recipe:
    """Return the recipe with some of its methods and seeds alone."""
    return _resize(drop_methods(recipe, recipe.methods.keys() - set(labels)), None, seeds)


def get_first_round(recipe: Recipe) -> Recipe:
    """Return what must fit into the budget: the first two seeds if the recipe runs until decided, and else all."""
    return narrow_recipe(recipe, recipe.methods, recipe.seeds[:MIN_SEEDS]) if recipe.until_decided else recipe


def propose_drops(seconds_by_label: Mapping[str, float], excess_seconds: float, keep: int) -> tuple[str, ...]:
    """Return as few methods as possible that together take the seconds by which a plan exceeds its budget.

    The costliest come first. The last one is the cheapest that is enough, so that the plan keeps what it can.

    Args:
        keep: how many of the methods must stay; empty if the rest is not enough.
    """
    costliest = sorted(seconds_by_label, key=lambda label: -seconds_by_label[label])
    proposed: list[str] = []
    for label in costliest[: max(0, len(costliest) - keep)]:
        missing = excess_seconds - sum(seconds_by_label[chosen] for chosen in proposed)
        if seconds_by_label[label] >= missing:
            enough = [other for other in costliest if other not in proposed and seconds_by_label[other] >= missing]
            return (*proposed, enough[-1])
        proposed.append(label)
    return ()


def describe_cuts(recipe: Recipe, reduced: Recipe) -> tuple[str, ...]:
    """Return a phrase for each reduction; none if both recipes have the same size."""
    cuts = []
    if recipe.search and reduced.search and reduced.search.configurations < recipe.search.configurations:
        cuts.append(
            f"{reduced.search.configurations} configurations per search instead of {recipe.search.configurations}"
        )
    if len(reduced.seeds) < len(recipe.seeds):
        if recipe.replicates:
            cuts.append(f"{reduced.replicates} replicates instead of {recipe.replicates}")
        else:
            cuts.append(f"{_format_seeds(reduced.seeds)} instead of {', '.join(map(str, recipe.seeds))}")
    return tuple(cuts)


def _format_seeds(seeds: tuple[int, ...]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _resize(recipe: Recipe, configurations: int | None, seeds: tuple[int, ...]) -> Recipe:
    """Return the recipe with at most this many configurations, and with those of its seeds that are in `seeds`."""
    search = recipe.search
    if search and configurations is not None:
        search = search.model_copy(update={"configurations": min(configurations, search.configurations)})
    remaining_seeds = tuple(seed for seed in recipe.seeds if seed in seeds) or recipe.seeds
    replicates = recipe.replicates and len(remaining_seeds)
    return recipe.model_copy(update={"search": search, "seeds": remaining_seeds, "replicates": replicates})
