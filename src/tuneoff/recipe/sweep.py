"""From a recipe that varies a knob to the comparisons that answer it. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tuneoff.errors import RecipeError, suggest
from tuneoff.recipe.loading import apply_overrides
from tuneoff.recipe.recipe import Recipe

TOGETHER = "all"  # the one comparison of a study whose knob is a method's own


def expand_sweep(recipe: Recipe) -> dict[str, Recipe]:
    """The comparisons of a study, by the name of their folder.

    A method's own knob leaves the setting as it is: its values are methods of one comparison, and can be told apart
    in pairs. Any other knob (the data, the model) makes a setting of its own with each value.

    Raises:
        RecipeError: the recipe varies nothing, or there is no such knob, or it does not take one of the values.
    """
    if recipe.sweep is None:
        raise RecipeError(
            "This recipe varies nothing. Write sweep: {parameter: methods.lora.rank, values: [1, 4, 16]}."
        )
    if (own := find_swept_method(recipe)) is not None:
        return {TOGETHER: _add_each_as_method(recipe, *own)}
    names = [_slugify(value) for value in recipe.sweep.values]
    return {
        name if names.count(name) == 1 else f"{name}-{i}": _set_value(
            recipe, f"{recipe.sweep.parameter}={json.dumps(value)}"
        )
        for i, (name, value) in enumerate(zip(names, recipe.sweep.values, strict=True))
    }


def find_swept_method(recipe: Recipe) -> tuple[str, str] | None:
    """The label and the hyper-parameter that are varied, if it is a method's own knob that is."""
    parts = recipe.sweep.parameter.split(".") if recipe.sweep else []
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "methods" else None


def format_label(label: str, knob: str, value: Any) -> str:
    """What a method is called at one value of its knob."""
    return f"{label} {knob} {value}"


def _add_each_as_method(recipe: Recipe, label: str, knob: str) -> Recipe:
    assert recipe.sweep is not None, "asked only where something varies"
    if label not in recipe.methods:
        raise RecipeError(
            f"sweep.parameter is {recipe.sweep.parameter!r}, and no method is called {label!r}.{suggest(label, recipe.methods)}"
        )
    whole = recipe.to_dict() | {"sweep": None}
    method = whole["methods"].pop(label)
    spaces: dict[str, Any] = whole["search"]["spaces"] if whole["search"] else {}
    space = {name: values for name, values in spaces.pop(label, {}).items() if name != knob}
    for value in recipe.sweep.values:
        whole["methods"][format_label(label, knob, value)] = {**method, knob: value}
        if whole["search"]:
            spaces[format_label(label, knob, value)] = space
    return Recipe.read(whole)


def _set_value(recipe: Recipe, override: str) -> Recipe:
    whole: Mapping[str, Any] = recipe.to_dict() | {"sweep": None}
    return Recipe.read(apply_overrides(whole, [override]))


def _slugify(value: Any) -> str:
    """A value as part of a folder's name: nothing in it leads elsewhere."""
    return re.sub(r"[^\w-]+", "-", str(value)).strip("-")[-40:] or "value"
