"""A recipe made to fit its budget: fewer configurations of each search, then fewer seeds. Pure.

Methods are always cut alike, so that what is left is still a fair comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from tuneoff.config.base import Options
from tuneoff.config.budget import BudgetOptions
from tuneoff.recipe.recipe import Recipe

MIN_CONFIGURATIONS = 4  # configurations; below that there is little to choose from
RESERVED_SHARE = 0.1  # of a budget, since a prediction is off by about as much


class Size(Options):
    """How large a comparison is."""

    methods: tuple[str, ...]
    configurations: int | None  # of each search; None: there is no search
    seeds: tuple[int, ...]


class Fit(Options):
    """What a recipe was cut to, for which budget. It is kept, so that a run that goes on goes on with the same plan."""

    budget: BudgetOptions
    asked: Size
    left: Size
    whole_seconds: float  # that the budget allows
    predicted_seconds: float  # that what is left will take
    asked_seconds: float  # that the recipe was predicted to take uncut
    cuts: tuple[str, ...]  # in words; none where all fits
    ends: datetime | None = None  # of a budget that lasts until a time of day

    def shrink(self, recipe: Recipe) -> Recipe:
        """The recipe with no more than what is left."""
        return _resize(recipe, self.left.configurations, self.left.seeds)

    def still_applies(self, recipe: Recipe, now: datetime) -> bool:
        """Whether it is for a recipe of that size and budget, and for this day."""
        same = self.asked == get_size(recipe) and self.budget == recipe.budget
        return same and (self.ends is None or now < self.ends)


def get_size(recipe: Recipe) -> Size:
    """The size that a recipe asks for."""
    configurations = recipe.search.configurations if recipe.search else None
    return Size(methods=tuple(recipe.methods), configurations=configurations, seeds=recipe.seeds)


def shrink_to_fit(recipe: Recipe, seconds: float, predicted: Callable[[Recipe], float]) -> Recipe | None:
    """The largest of the smaller recipes that is predicted to fit into so many seconds; None where none does."""
    room = (1 - RESERVED_SHARE) * seconds
    return next((smaller for smaller in iterate_smaller_recipes(recipe) if predicted(smaller) <= room), None)


def format_sufficient_budget(seconds: float) -> str:
    """The least budget, in whole minutes, that a plan of so many seconds fits into."""
    minutes = math.ceil(seconds / (1 - RESERVED_SHARE) / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest}m" if hours else f"{rest}m"


def iterate_smaller_recipes(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe itself, then ever smaller ones, each cut alike for all methods."""
    most = recipe.search.configurations if recipe.search else None
    configurations: list[int | None] = [*range(most, min(most, MIN_CONFIGURATIONS) - 1, -1)] if most else [None]
    for number in configurations:
        yield _resize(recipe, number, recipe.seeds)
    for seeds in range(len(recipe.seeds) - 1, 0, -1):
        yield _resize(recipe, configurations[-1], recipe.seeds[:seeds])


def get_smallest_recipe(recipe: Recipe) -> Recipe:
    """The last of the smaller ones."""
    *_, last = iterate_smaller_recipes(recipe)
    return last


def describe_cuts(asked: Recipe, left: Recipe) -> tuple[str, ...]:
    """What was cut, in words; nothing where all fits."""
    found = []
    if asked.search and left.search and left.search.configurations < asked.search.configurations:
        found.append(
            f"{left.search.configurations} configurations of each search in place of {asked.search.configurations}"
        )
    if len(left.seeds) < len(asked.seeds):
        found.append(f"{_format_seeds(left.seeds)} in place of {', '.join(map(str, asked.seeds))}")
    return tuple(found)


def _format_seeds(seeds: tuple[int, ...]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _resize(recipe: Recipe, configurations: int | None, seeds: tuple[int, ...]) -> Recipe:
    search = recipe.search
    if search and configurations is not None:
        search = search.model_copy(update={"configurations": min(configurations, search.configurations)})
    kept = tuple(seed for seed in recipe.seeds if seed in seeds) or recipe.seeds
    return recipe.model_copy(update={"search": search, "seeds": kept})
