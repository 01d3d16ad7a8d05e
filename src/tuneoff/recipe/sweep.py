"""From a recipe that varies a knob to the comparisons that answer it. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tuneoff.errors import RecipeError, nearest
from tuneoff.recipe.loading import overridden
from tuneoff.recipe.recipe import Recipe

TOGETHER = "all"  # the one comparison of a study whose knob is a method's own


def variants(recipe: Recipe) -> dict[str, Recipe]:
    """The comparisons of a study, by the name of their folder.

    A method's own knob leaves the setting as it is: its values are methods of one comparison, and can be told apart
    in pairs. Any other knob (the data, the model) makes a setting of its own with each value.

    Raises:
        RecipeError: the recipe varies nothing, or there is no such knob, or it does not take one of the values.
    """
    if recipe.vary is None:
        raise RecipeError("This recipe varies nothing. Write vary: {knob: methods.lora.rank, values: [1, 4, 16]}.")
    if (own := varied_method(recipe)) is not None:
        return {TOGETHER: _with_each_as_a_method(recipe, *own)}
    names = [_slug(value) for value in recipe.vary.values]
    return {
        name if names.count(name) == 1 else f"{name}-{i}": _with(recipe, f"{recipe.vary.knob}={json.dumps(value)}")
        for i, (name, value) in enumerate(zip(names, recipe.vary.values, strict=True))
    }


def varied_method(recipe: Recipe) -> tuple[str, str] | None:
    """The label and the hyper-parameter that are varied, if it is a method's own knob that is."""
    parts = recipe.vary.knob.split(".") if recipe.vary else []
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "methods" else None


def label_at(label: str, knob: str, value: Any) -> str:
    """What a method is called at one value of its knob."""
    return f"{label} {knob} {value}"


def _with_each_as_a_method(recipe: Recipe, label: str, knob: str) -> Recipe:
    assert recipe.vary is not None, "asked only where something varies"
    if label not in recipe.methods:
        raise RecipeError(
            f"vary.knob is {recipe.vary.knob!r}, and no method is called {label!r}.{nearest(label, recipe.methods)}"
        )
    whole = recipe.written() | {"vary": None}
    method = whole["methods"].pop(label)
    spaces: dict[str, Any] = whole["search"]["spaces"] if whole["search"] else {}
    space = {name: values for name, values in spaces.pop(label, {}).items() if name != knob}
    for value in recipe.vary.values:
        whole["methods"][label_at(label, knob, value)] = {**method, knob: value}
        if whole["search"]:
            spaces[label_at(label, knob, value)] = space
    return Recipe.read(whole)


def _with(recipe: Recipe, override: str) -> Recipe:
    whole: Mapping[str, Any] = recipe.written() | {"vary": None}
    return Recipe.read(overridden(whole, [override]))


def _slug(value: Any) -> str:
    """A value as part of a folder's name: nothing in it leads elsewhere."""
    return re.sub(r"[^\w-]+", "-", str(value)).strip("-")[-40:] or "value"
