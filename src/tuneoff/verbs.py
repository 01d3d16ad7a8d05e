"""What the command line can do, in Python with the same words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.comparison import Comparison, judge
from tuneoff.methods import METHODS, Method
from tuneoff.models.options import ModelOptions
from tuneoff.plan import Stage, stages, wanted
from tuneoff.progress import Watch
from tuneoff.recipe import Recipe, load_recipe, overridden
from tuneoff.runs import RunDirectory

if TYPE_CHECKING:
    from tuneoff.models.parameters import Trained

RUNS = Path("runs")


def compare(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    run: str | Path | None = None,
    watch: Watch | None = None,
    retry: bool = False,
) -> Comparison:
    """Run what is missing of a comparison, judge it, and write its report.

    Args:
        recipe: a recipe, the mapping that one is written as, a file's path, or a shipped one's name.
        overrides: `key.key=value`, applied to what `recipe` says.
        run: the run directory; `runs/NAME` of the recipe unless given. Its records are kept and not made again.
        watch: whoever follows; the terminal or the notebook unless given. `Silence()` is nobody.
        retry: run failed trials again.

    Raises:
        TuneoffError: something in the recipe, the data, the model or the run directory needs the user's hand.
        KeyboardInterrupt: handed on; what was recorded stays, and the same call goes on from there.
    """
    from tuneoff.engines.here import run_missing
    from tuneoff.environment import environment
    from tuneoff.preparation import prepare
    from tuneoff.terminal import following

    whole = _recipe(recipe, overrides)
    directory = RunDirectory(Path(run) if run else RUNS / whole.name)
    directory.require_fits(whole)
    with contextlib.nullcontext(watch) if watch else following() as follower:
        preparation = prepare(whole)
        directory.require_same_setting(preparation.setting)
        with directory.held():
            directory.begin(whole, environment(), preparation.text.summary)
            run_missing(whole, preparation, directory, follower, retry=retry)
            return report(directory.path)


def load_comparison(run: str | Path) -> Comparison:
    """The comparison that a run directory's records make, also half a run's.

    Raises:
        RunError: it is no run directory, or a file in it cannot be read.
    """
    whole = RunDirectory(Path(run)).read()
    return judge(replace(whole, records=wanted(whole.recipe, whole.records)))


def report(run: str | Path) -> Comparison:
    """Write a run directory's report again, from its records alone."""
    comparison = load_comparison(run)
    comparison.report(RunDirectory(Path(run)).report)
    return comparison


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A comparison before it is run: what each method trains, and what it goes through stage by stage."""

    recipe: Recipe
    parameters: Mapping[str, tuple[int, int]]  # trainable and all, by label
    stages: tuple[Stage, ...]


def planned(recipe: Recipe | Mapping[str, Any] | str | Path, *overrides: str) -> Planned:
    """The tree of a comparison's trials; reads the data, but no weights."""
    from tuneoff.models.parameters import parameter_counts
    from tuneoff.preparation import outlines, prepare

    whole = _recipe(recipe, overrides)
    shared = prepare(whole)
    shapes = outlines(whole.methods, whole.model, shared.source, shared.tokenizer)
    counts = {label: parameter_counts(tuned) for label, tuned in shapes}
    trains = [label for label, (trainable, _) in counts.items() if trainable]
    return Planned(recipe=whole, parameters=counts, stages=stages(whole, shared.text.summary, trains))


@dataclass(frozen=True, kw_only=True)
class Trains:
    """What a method trains in a model, module by module."""

    label: str
    method: Method
    groups: tuple[Trained, ...]
    trainable: int
    total: int


def trained(model: str | ModelOptions, which: Mapping[str, Method] | None = None) -> tuple[Trains, ...]:
    """What each method trains in `model`, from its shape alone: every method with its defaults unless given."""
    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.parameters import parameter_counts, trained_groups
    from tuneoff.models.sources import find_source
    from tuneoff.preparation import outlines

    options = ModelOptions(name=model) if isinstance(model, str) else model
    which = which or {name: method.read({}) for name, method in METHODS.items()}
    source = find_source(options)
    found = []
    for label, tuned in outlines(which, options, source, load_tokenizer(source, options)):
        trainable, total = parameter_counts(tuned)
        found.append(
            Trains(label=label, method=which[label], groups=trained_groups(tuned), trainable=trainable, total=total)
        )
    return tuple(found)


def _recipe(recipe: Recipe | Mapping[str, Any] | str | Path, overrides: Iterable[str]) -> Recipe:
    match recipe:
        case str() | Path():
            return load_recipe(recipe, overrides)
        case Recipe():
            return Recipe.read(overridden(recipe.written(), overrides))
        case _:
            return Recipe.read(overridden(recipe, overrides))
