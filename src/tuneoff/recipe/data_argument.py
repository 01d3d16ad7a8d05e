"""What a user names on the command line as data: files, a data set of the hub, or a recipe."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tuneoff.config.base import Options
from tuneoff.config.data import DataOptions
from tuneoff.config.model import ModelOptions
from tuneoff.errors import DataError, RecipeError
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.shipped_recipes import read_shipped_recipes

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


class DataArgument(Options):
    """The data and the model of a recipe."""

    data: DataOptions
    model: ModelOptions | None = None


def read_data_argument(data: str, overrides: Iterable[str] = (), model: str | None = None) -> DataArgument:
    """Return the data that an argument names: a recipe file, the name of a shipped recipe, files, or a hub data set.

    Args:
        overrides: changes, as `data.fields.source=article`.
        model: the name of a model, in place of the recipe's.

    Raises:
        DataError: there is no such file.
        RecipeError: an override is wrong, or its key does not belong to the data or the model.
    """
    if is_recipe(data):
        recipe = load_recipe(data, overrides)
        return DataArgument(data=recipe.data, model=ModelOptions(name=model) if model else recipe.model)
    values: dict[str, Any] = {"data": describe_data(data)}  # Any: what a recipe holds
    values = apply_overrides(values | ({"model": {"name": model}} if model else {}), overrides)
    if others := sorted(values.keys() - {"data", "model"}):
        raise RecipeError(f"{others[0]!r} has no effect here. Only keys of data and model can be changed.")
    return DataArgument.read(values)


def describe_data(data: str) -> dict[str, Any]:  # Any: what a recipe holds
    """Return the part of a recipe that names these files, or this data set of the hub.

    Raises:
        DataError: there is no such file, and the name is none of the hub's.
    """
    path = Path(data).expanduser()
    if path.exists() or glob.has_magic(data):
        return {"source": "files", "files": data}
    if _HUB_NAME.fullmatch(data):
        return {"source": "hub", "path": data}
    raise DataError(
        f"{data} does not exist. Relative paths start from {Path.cwd()}. Give a file, a folder, a pattern in quotes, "
        "or the id of a data set on the hub: owner/name."
    )


def name_recipe(data: str) -> str:
    """Return a name for a recipe with this data: that of the file without its endings."""
    stem = Path(data).expanduser().resolve().name if Path(data).expanduser().exists() else data.rsplit("/", 1)[-1]
    return re.sub(r"[^\w-]+", "-", stem.split(".")[0]).strip("-")[:100] or "data"


def is_recipe(data: str) -> bool:
    """Return whether an argument names a recipe: a YAML file, or a shipped recipe."""
    is_yaml = data.lower().endswith((".yaml", ".yml"))
    return is_yaml or (data in read_shipped_recipes() and not Path(data).exists())
