"""The recipe: the whole configuration of a comparison in one typed tree.

A user writes only the difference from the defaults. An unknown key is refused with the nearest known one, and the
filled-in whole is stored beside the result, where it is a recipe again.
"""

import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from tuneoff.errors import RecipeError, suggest
from tuneoff.recipe.recipe import Recipe

MOST_VALUES = 100_000  # of a recipe, its aliases written out
MOST_LEVELS = 100  # of what is within each other: the time that YAML takes grows with the square of this


def load_recipe(recipe: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in a YAML file, or the shipped one of that name, with `key.key=value` overrides applied.

    Raises:
        RecipeError: there is no such recipe, it is not YAML, or a key or value in it does not fit.
    """
    written = _parse(_read_text(recipe), str(recipe))
    if not isinstance(written, Mapping):
        raise RecipeError(
            f"{recipe} is no mapping of keys to values. `tuneoff recipes demo mine.yaml` makes one to start from."
        )
    return Recipe.read(apply_overrides(written, overrides))


def shipped_recipes() -> dict[str, str]:
    """The recipes that come with the package: YAML text by name."""
    folder = resources.files("tuneoff.recipe") / "shipped"
    texts = {f.name.removesuffix(".yaml"): f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".yaml")}
    return dict(sorted(texts.items()))


def copy_recipe(name: str, to: Path) -> Path:
    """Copy the shipped recipe `name` to the file `to`, to be changed.

    Raises:
        RecipeError: no such recipe is shipped, or the file exists.
    """
    shipped = shipped_recipes()
    if name not in shipped:
        raise RecipeError(f"No recipe {name!r} is shipped.{suggest(name, shipped)}")
    if to.exists():
        raise RecipeError(f"{to} exists already. Name another file, or remove it.")
    to.write_text(shipped[name], "utf-8")
    return to


def apply_overrides(written: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """`written` with each `a.b=value` put in its place; a value is read as YAML is."""
    whole = dict(written)
    for override in overrides:
        place, equals, value = override.partition("=")
        if not equals or not place:
            raise RecipeError(f"{override!r} is no override. Write it as key.key=value, such as training.epochs=3.")
        path = place.split(".")
        whole = _put(whole, path, _parse(value, override), override)
        if len(path) == 3 and path[0] == "methods":
            whole = _drop_space(whole, *path[1:])
    return whole


def _drop_space(whole: dict[str, Any], label: str, knob: str) -> dict[str, Any]:
    """A knob that is set by hand is not searched, whatever the recipe says of it."""
    try:
        left = {name: values for name, values in whole["search"]["spaces"][label].items() if name != knob}
    except (KeyError, TypeError, AttributeError):  # there is no such space, or nothing that could be one
        return whole
    search = whole["search"]
    return {**whole, "search": {**search, "spaces": {**search["spaces"], label: left}}}


def _put(tree: Mapping[str, Any], path: list[str], value: Any, override: str) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {**tree, first: value}
    branch = tree.get(first)
    if isinstance(branch, list):  # a list of method names: the mapping that it stands for
        branch = dict.fromkeys(branch)
    if branch is not None and not isinstance(branch, Mapping):
        raise RecipeError(f"{override!r} goes into {first!r}, which is the single value {branch!r}.")
    return {**tree, first: _put(branch or {}, rest, value, override)}


def _read_text(recipe: str | Path) -> str:
    path = Path(recipe)
    if path.is_file():
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise RecipeError(f"The recipe {path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    raise RecipeError(
        f"No recipe {str(recipe)!r}: it is neither a file nor a shipped recipe.{suggest(str(recipe), shipped)}"
    )


class _Yaml(yaml.SafeLoader):
    """YAML as people write it: `1e-5` is a number, which YAML 1.1 takes for text since it has no point."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _require_shallow(text: str) -> None:
    """Scanning goes along the text once; parsing what is deep takes minutes."""
    blocks = yaml.BlockSequenceStartToken | yaml.BlockMappingStartToken
    brackets = yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken
    ends = yaml.BlockEndToken | yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken
    steps = (isinstance(token, blocks | brackets) - isinstance(token, ends) for token in yaml.scan(text))
    if any(level > MOST_LEVELS for level in accumulate(steps)):
        raise ValueError(f"more than {MOST_LEVELS} lists or mappings are within each other")


def _parse(text: str, where: str) -> Any:  # Any: whatever YAML holds
    try:
        _require_shallow(text)
        written = yaml.load(text, Loader=_Yaml)
        _require_few(written)
        json.dumps(written, ensure_ascii=False, skipkeys=True, default=str).encode()  # half a character, or a circle
        return written
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # as a 13th month is
        raise RecipeError(f"{where:.200} cannot be read as YAML: {error}. Correct it there.") from None


def _require_few(whole: Any) -> None:
    """A few lines of aliases of aliases can stand for more values than memory holds."""
    sizes: dict[int, int] = {}

    def size(value: Any) -> int:
        if not isinstance(value, Mapping | list | tuple | set):
            return 1
        if id(value) not in sizes:
            inner = [*value, *value.values()] if isinstance(value, Mapping) else value
            sizes[id(value)] = 1 + sum(map(size, inner))
        return sizes[id(value)]

    if size(whole) > MOST_VALUES:
        raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
