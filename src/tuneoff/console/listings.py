"""Lists of the methods and of the shipped recipes in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuneoff.report.format import format_count, format_share

if TYPE_CHECKING:
    from tuneoff.runner.inspect import InspectedMethod


def print_methods(methods: Sequence[InspectedMethod]) -> None:
    """Print the modules that each method trains, with `*` for the number of a layer."""
    console = Console(highlight=False)
    for inspected in methods:
        if inspected.method is None:
            console.print(f"{inspected.label}: {inspected.refused}", style="dim", markup=False, soft_wrap=True)
            continue
        share = format_share(inspected.trainable / inspected.total)
        counts = f"{format_count(inspected.trainable)} of {format_count(inspected.total)}"
        console.print(f"{inspected.label}: {counts} ({share})", style="bold", markup=False)
        options = ", ".join(f"{name}={value}" for name, value in inspected.method.model_dump(mode="json").items())
        description = options if inspected.trainable else "trains nothing"
        console.print(f"  {description}", style="dim", markup=False, soft_wrap=True)
        console.print(_list_parameters(inspected))
        for warning in inspected.warnings:
            console.print(f"  Warning: it {warning}.", style="yellow", markup=False)


def print_groups(groups: Mapping[str, Sequence[str]]) -> None:
    """Print the names that stand for several methods in a recipe."""
    Console().print("Groups, as in `methods: [cheap, prompts]`:", style="dim", markup=False, highlight=False)
    grid = Table.grid(padding=(0, 2))
    for name, methods in groups.items():
        grid.add_row("", Text(name, style="bold"), Text(", ".join(methods)))
    Console().print(grid)


def print_recipes(recipes: Mapping[str, str]) -> None:
    """Print the names of the shipped recipes, each with the first line of its text."""
    grid = Table.grid(padding=(0, 2))
    for name, text in recipes.items():
        title, *_ = text.splitlines()
        grid.add_row(Text(name, style="bold"), Text(title.lstrip("# ")))
    Console().print(grid)
    Console().print("Copy one to change it: tuneoff recipes NAME mine.yaml", style="dim", highlight=False)


def _list_parameters(inspected: InspectedMethod) -> Table:
    grid = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "right"):
        grid.add_column(justify=justify)
    for group in inspected.groups:
        tensors = f"{group.tensors} ×" if group.tensors > 1 else ""
        grid.add_row("", Text(group.name), tensors, f"{group.parameters:,}")
    return grid
