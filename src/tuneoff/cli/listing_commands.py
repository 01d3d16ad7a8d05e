"""The commands that list what is there: methods, recipes, the keys of a recipe, and the installation."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import app, format_examples


@app.command(epilog=format_examples("methods", "methods --model EleutherAI/gpt-neo-125m", "methods --recipe mine.yaml"))
def methods(
    model: Annotated[
        str, typer.Option(help="A model id on the hub, a folder, a GGUF file, or the name of a built-in model.")
    ] = "smollm2-135m-instruct",
    recipe: Annotated[str | None, typer.Option(help="Show the methods and the model of this recipe instead.")] = None,
) -> None:
    """Show which parameters each method trains in a model.

    For each method, this lists the number of trainable parameters, their share of all, and their modules.
    """
    from tuneoff.console.listings import print_groups, print_methods
    from tuneoff.methods import GROUPS
    from tuneoff.recipe.loading import load_recipe
    from tuneoff.runner import inspect

    if recipe is None:
        print_methods(inspect.inspect_methods(model))
        print_groups(GROUPS)
    else:
        loaded = load_recipe(recipe)
        print_methods(inspect.inspect_methods(loaded.model, loaded.methods))


@app.command(epilog=format_examples("recipes", "recipes demo mine.yaml"))
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="The recipe to copy. Without it, all are listed.", metavar="NAME")
    ] = None,
    to: Annotated[
        Path | None, typer.Argument(help="The file to write.", metavar="FILE", show_default="NAME.yaml")
    ] = None,
) -> None:
    """List the shipped recipes, or copy one to change it."""
    from tuneoff.console.listings import print_recipes
    from tuneoff.recipe.shipped_recipes import copy_recipe, read_shipped_recipes

    if name is None:
        print_recipes(read_shipped_recipes())
    else:
        print(f"Written to {copy_recipe(name, to or Path(f'{name}.yaml'))}")


@app.command(epilog=format_examples("schema > recipe.schema.json"))
def schema() -> None:
    """Print the JSON schema of a recipe.

    An editor uses it to complete and check the keys of a recipe file that begins with the line
    # yaml-language-server: $schema=recipe.schema.json
    """
    from tuneoff.recipe.schema import format_schema

    print(format_schema())


@app.command(epilog=format_examples("env", "env --json"))
def env(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the versions, machine and cache for an issue report.

    The output holds no secret and no user name.
    """
    from tuneoff.console.installation import format_installation
    from tuneoff.system.environment import describe_installation

    description = describe_installation()
    print(json.dumps(description, indent=2) if as_json else format_installation(description))
