"""Loading a recipe by its file or its name."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tuneoff.errors import RecipeError, suggest
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.safe_yaml import parse_yaml
from tuneoff.recipe.shipped_recipes import read_shipped_recipes


def load_recipe(recipe: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Load a recipe from a YAML file, or a shipped recipe by its name, with `key.key=value` overrides applied.

    Raises:
        RecipeError: the recipe does not exist, it is not YAML, or one of its keys or values is wrong.
    """
    values = parse_yaml(_read_text(recipe), str(recipe))
    if not isinstance(values, Mapping):
        raise RecipeError(
            f"{recipe} is not a mapping of keys to values. To start from one: tuneoff recipes demo mine.yaml"
        )
    return Recipe.read(apply_overrides(values, overrides))


def _read_text(recipe: str | Path) -> str:
    path = Path(recipe)
    if path.is_file():
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise RecipeError(f"The recipe {path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    shipped = read_shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    raise RecipeError(
        f"No recipe {str(recipe)!r}: it is neither a file nor a shipped recipe.{suggest(str(recipe), shipped)}"
    )
