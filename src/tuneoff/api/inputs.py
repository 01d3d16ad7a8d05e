"""What the functions of the library accept: recipes in several forms, and an optional listener."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tuneoff.console.progress import show_progress
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.listener import Listener

AnyRecipe = Recipe | Mapping[str, Any] | str | Path  # as in `tuneoff.compare`


def read_recipe(recipe: AnyRecipe, overrides: Iterable[str]) -> Recipe:
    """Return the recipe with the overrides applied."""
    match recipe:
        case str() | Path():
            return load_recipe(recipe, overrides)
        case Recipe():
            return Recipe.read(apply_overrides(recipe.to_dict(), overrides))
        case _:
            return Recipe.read(apply_overrides(recipe, overrides))


@contextlib.contextmanager
def open_listener(listener: Listener | None) -> Iterator[Listener]:
    """Yield the listener, or without one show progress for the time of the block."""

    with contextlib.nullcontext(listener) if listener else show_progress() as active_listener:
        yield active_listener
