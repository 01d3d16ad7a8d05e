"""From a recipe with a sweep to the recipes of its comparisons. Pure."""

import json
import re
from typing import Any

from tuneoff.errors import RecipeError, suggest
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe

SINGLE_COMPARISON = "all"  # the folder of the comparison where the parameter is a hyperparameter of a method


def expand_sweep(recipe: Recipe) -> dict[str, Recipe]:
    """Return the recipe of each comparison of a sweep, by the name of its folder.

    A hyperparameter of a method does not change the setting: each value becomes a method of one comparison, so that
    values can be compared in pairs. Any other parameter (of the data, the model) changes the setting, and each value
    becomes a comparison.

    Raises:
        RecipeError: the recipe has no sweep, the parameter does not exist, or it does not accept one of the values.
    """
    if recipe.sweep is None:
        raise RecipeError(
            "This recipe has no sweep. Add one: sweep: {parameter: methods.lora.rank, values: [1, 4, 16]}."
        )
    parameter, values = recipe.sweep.parameter, recipe.sweep.values
    if (hyperparameter := find_swept_method(recipe)) is not None:
        return {SINGLE_COMPARISON: _add_method_for_each_value(recipe, *hyperparameter, values)}
    slugs = [_slugify(value) for value in values]
    folders = [slug if slugs.count(slug) == 1 else f"{slug}-{i}" for i, slug in enumerate(slugs)]
    return {
        folder: _set_parameter(recipe, f"{parameter}={json.dumps(value)}")
        for folder, value in zip(folders, values, strict=True)
    }


def find_swept_method(recipe: Recipe) -> tuple[str, str] | None:
    """Return the label and the hyperparameter of a sweep over a method's hyperparameter; None for other sweeps."""
    path = recipe.sweep.parameter.split(".") if recipe.sweep else []
    return (path[1], path[2]) if len(path) == 3 and path[0] == "methods" else None


def format_label(label: str, hyperparameter: str, value: Any) -> str:
    """Return the label of a method at one value of its hyperparameter, such as `lora rank 4`."""
    return f"{label} {hyperparameter} {value}"


def _add_method_for_each_value(recipe: Recipe, label: str, hyperparameter: str, values: tuple[Any, ...]) -> Recipe:
    if label not in recipe.methods:
        raise RecipeError(
            f"sweep.parameter is 'methods.{label}.{hyperparameter}', and the recipe has no method {label!r}."
            f"{suggest(label, recipe.methods)}"
        )
    tree = recipe.to_dict() | {"sweep": None}
    method = tree["methods"].pop(label)
    spaces: dict[str, Any] = tree["search"]["spaces"] if tree["search"] else {}
    space = {name: domain for name, domain in spaces.pop(label, {}).items() if name != hyperparameter}
    for value in values:
        new_label = format_label(label, hyperparameter, value)
        tree["methods"][new_label] = {**method, hyperparameter: value}
        if tree["search"]:
            spaces[new_label] = space
    return Recipe.read(tree)


def _set_parameter(recipe: Recipe, override: str) -> Recipe:
    return Recipe.read(apply_overrides(recipe.to_dict() | {"sweep": None}, [override]))


def _slugify(value: Any) -> str:
    """Return a folder name for a value, without characters that could lead to another folder."""
    return re.sub(r"[^\w-]+", "-", str(value)).strip("-")[-40:] or "value"
