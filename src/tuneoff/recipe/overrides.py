"""Overrides: changes to a recipe on the command line, written as `key.key=value`."""

from collections.abc import Iterable, Mapping
from typing import Any

from tuneoff.errors import RecipeError
from tuneoff.recipe.safe_yaml import parse_yaml

Tree = dict[str, Any]  # Any: what a user wrote, not yet checked


def apply_overrides(recipe: Mapping[str, Any], overrides: Iterable[str]) -> Tree:
    """Return the recipe with every override applied. Values are read as YAML.

    An override of a hyperparameter also removes it from `search.spaces`: a value set by hand is not searched. An
    override of `replicates` takes the place of the recipe's `seeds`, and the other way round.

    Raises:
        RecipeError: an override has no `=`, its value is not YAML, or its path leads into a single value.
    """
    tree, overrides = dict(recipe), list(overrides)
    written = {override.partition("=")[0] for override in overrides}
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not path:
            raise RecipeError(f"{override!r} is not an override. Write it as key.key=value: training.epochs=3.")
        keys = _use_names_in(tree, path.split("."))
        tree = _set(tree, keys, parse_yaml(value, override), override)
        match keys:
            case ["methods", label, hyperparameter]:
                tree = _remove_from_space(tree, label, hyperparameter)
            case ["seeds" | "replicates" as key] if tree[key] is not None:
                (other,) = {"seeds", "replicates"} - {key}
                tree = tree if other in written else {name: v for name, v in tree.items() if name != other}
    return tree


def _use_names_in(tree: Mapping[str, Any], keys: list[str]) -> list[str]:
    """Return the keys with the names that the recipe uses for a sweep: those of today, or those before 0.2."""
    first, *rest = keys
    if first not in {"sweep", "vary"}:
        return keys
    first = "vary" if "vary" in tree else "sweep"
    if rest and rest[0] in {"parameter", "knob"}:
        rest[0] = "knob" if "knob" in (tree.get(first) or ()) else "parameter"
    return [first, *rest]


def _set(tree: Mapping[str, Any], keys: list[str], value: Any, override: str) -> Tree:
    first, *rest = keys
    if not rest:
        return {**tree, first: value}
    branch = tree.get(first)
    if first == "methods" and isinstance(branch, str):  # a single method or group
        branch = [branch]
    if isinstance(branch, list):  # a list of methods, which stands for a mapping
        branch = dict.fromkeys(branch)
    if branch is not None and not isinstance(branch, Mapping):
        raise RecipeError(
            f"{override!r} needs {first!r} to hold keys, and it is the single value {branch!r}. "
            f"Write {first}=VALUE to replace it."
        )
    return {**tree, first: _set(branch or {}, rest, value, override)}


def _remove_from_space(tree: Tree, label: str, hyperparameter: str) -> Tree:
    try:
        space = {name: domain for name, domain in tree["search"]["spaces"][label].items() if name != hyperparameter}
    except (KeyError, TypeError, AttributeError):  # no such space, or something else in its place
        return tree
    search = tree["search"]
    return {**tree, "search": {**search, "spaces": {**search["spaces"], label: space}}}
