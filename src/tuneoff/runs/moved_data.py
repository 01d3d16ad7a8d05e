"""Data whose files were moved after a run began with them: it is the same data if its content is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuneoff.config.data import DataOptions
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.runs.layout import has_recipe
from tuneoff.runs.reading import read_recipe

PLACES = ("files", "path")  # the options that say where data is, and not what it is


def find_moved_data(path: Path, recipe: Recipe) -> DataOptions | None:
    """Return the data options of a run directory if those of the recipe differ in the place of the files alone.

    None: nothing differs, more differs, or there is no run to compare with.
    """
    if not has_recipe(path):
        return None
    try:
        stored = read_recipe(path).data
    except RunError:
        return None
    is_moved = stored != recipe.data and _drop_places(stored) == _drop_places(recipe.data)
    return stored if is_moved else None


def restore_place(data: DataOptions, stored: DataOptions) -> DataOptions:
    """Return the data options with the place of the files of other ones."""
    return data.model_copy(update={name: getattr(stored, name) for name in PLACES if hasattr(stored, name)})


def list_places(data: DataOptions) -> list[str]:
    """Return the paths that data is read from; empty if it is not read from local files."""
    values = data.model_dump(mode="json", exclude_none=True)
    place: Any = next((values[name] for name in PLACES if name in values), [])  # Any: plain JSON
    parts = place.values() if isinstance(place, dict) else [place]
    return [str(path) for part in parts for path in (part if isinstance(part, list) else [part])]


def describe_place(data: DataOptions) -> str:
    """Return where data is, in a few words."""
    return ", ".join(list_places(data)) or data.source


def _drop_places(data: DataOptions) -> dict[str, object]:
    return {name: value for name, value in data.model_dump(mode="json").items() if name not in PLACES}
