"""Run, load and report a sweep: a directory with one run directory per value of the swept parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from tuneoff.analysis.sweep import Sweep, build_sweep
from tuneoff.api.comparisons import RUNS, load_comparison, run_comparison
from tuneoff.api.crew import choose_crew
from tuneoff.api.inputs import AnyRecipe, open_listener, read_recipe
from tuneoff.engines import Engine
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.safe_yaml import parse_yaml
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.runner.listener import Listener
from tuneoff.runs import RunDirectory
from tuneoff.runs.integrity import require_self_contained
from tuneoff.system.atomic_write import write_atomically

SWEEP_FILE, VALUES = "sweep.yaml", "values"
OLD_SWEEP_FILE = "study.yaml"  # the name of SWEEP_FILE before version 0.2


def sweep(
    recipe: AnyRecipe,
    *overrides: str,
    run: str | Path | None = None,
    listener: Listener | None = None,
    retry: bool = False,
    elsewhere: bool = False,
    workers: int | None = None,
    engine: str | Engine = "local",
    threads: int | None = None,
    exclusive: bool = False,
    share: str | None = None,
) -> Sweep:
    """Run the missing trials of a sweep, a recipe with the key `sweep`, and write its report.

    The arguments and errors are those of `compare`. Each comparison of the sweep has its own run directory in the
    folder `values` of `run`, and its own place in `share`.
    """
    recipe = read_recipe(recipe, overrides)
    comparisons = expand_sweep(recipe)
    crew = choose_crew(workers, engine, threads, exclusive=exclusive, share=share)
    root = Path(run) if run else RUNS / recipe.name
    if (root / "recipe.yaml").exists():
        raise RunError(f"{root} is the run directory of a single comparison. Choose another one with --run.")
    if root.is_dir():
        require_self_contained(root)
    first = RunDirectory(root / VALUES / next(iter(comparisons)))  # all prompts have the date of the first comparison
    for name, comparison in comparisons.items():
        RunDirectory(root / VALUES / name).require_same_recipe(first.take_date(comparison), before_cuts=True)
    write_atomically(root / SWEEP_FILE, yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True))
    with open_listener(listener) as active_listener:
        for name, comparison in comparisons.items():
            directory, dated = RunDirectory(root / VALUES / name), first.take_date(comparison)
            part = replace(crew, share=f"{crew.share}/{name}") if crew.share else crew
            run_comparison(dated, directory, active_listener, part, retry=retry, elsewhere=elsewhere)
            result = report_sweep(root)
    return result


def expand(recipe: AnyRecipe, *overrides: str) -> Mapping[str, Recipe]:
    """Return the recipes of a sweep's comparisons by name, or the recipe itself if it is not a sweep."""
    recipe = read_recipe(recipe, overrides)
    return expand_sweep(recipe) if recipe.sweep else {recipe.name: recipe}


def is_sweep(run: str | Path) -> bool:
    """Return whether this is the directory of a sweep, rather than of a single comparison."""
    return _find_sweep_file(Path(run)).is_file()


def load_sweep(run: str | Path) -> Sweep:
    """Load a sweep from its directory. The sweep may be unfinished.

    Raises:
        RunError: this is not the directory of a sweep, or a file in it cannot be read.
    """
    root = Path(run)
    require_self_contained(root)
    file = _find_sweep_file(root)
    try:
        recipe = Recipe.read(parse_yaml(file.read_text("utf-8"), str(file)))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error
    started = [name for name in expand_sweep(recipe) if any((root / VALUES / name).glob("trials/*/record.json"))]
    return build_sweep(recipe, {name: load_comparison(root / VALUES / name) for name in started})


def report_sweep(run: str | Path) -> Sweep:
    """Write the page and figures of a sweep again. The reports of its comparisons do not change."""
    from tuneoff.report.sweep_page import write_sweep_report

    sweep = load_sweep(run)
    write_sweep_report(sweep, Path(run) / "report")
    return sweep


def _find_sweep_file(run: Path) -> Path:
    old = run / OLD_SWEEP_FILE
    return old if old.is_file() and not (run / SWEEP_FILE).is_file() else run / SWEEP_FILE
