"""The recipes that come with the package."""

from importlib import resources
from pathlib import Path

from tuneoff.errors import RecipeError, suggest


def read_shipped_recipes() -> dict[str, str]:
    """Return the YAML text of every shipped recipe, by name."""
    folder = resources.files("tuneoff.recipe") / "shipped"
    files = [file for file in folder.iterdir() if file.name.endswith(".yaml")]
    return dict(sorted((file.name.removesuffix(".yaml"), file.read_text("utf-8")) for file in files))


def copy_recipe(name: str, to: Path) -> Path:
    """Copy a shipped recipe to the file `to`, as a start for a recipe of one's own.

    Raises:
        RecipeError: no shipped recipe has this name, or the file exists.
    """
    shipped = read_shipped_recipes()
    if name not in shipped:
        raise RecipeError(f"No shipped recipe is named {name!r}.{suggest(name, shipped)}")
    if to.exists():
        raise RecipeError(f"{to} exists already. Choose another file, or remove it.")
    to.write_text(shipped[name], "utf-8")
    return to
