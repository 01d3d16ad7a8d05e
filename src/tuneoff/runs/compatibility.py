"""Decide whether a recipe may add records to a run directory that exists.

A directory belongs to one recipe. Methods, seeds and replicates may be added to it later. Everything else that decides
a trial's numbers must stay the same, or the records could not be ranked together.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuneoff.config.base import Options
from tuneoff.config.search_space import Range, Space
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe, cut_spaces
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runs.integrity import require_self_contained
from tuneoff.runs.layout import RECIPE, TRIALS, WRITTEN_BEFORE_RECIPE, has_recipe
from tuneoff.runs.moved_data import restore_place
from tuneoff.runs.reading import read_recipe
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files

CHANGEABLE = {"note", "judge", "seeds", "replicates", "verdict", "metrics", "budget", "until_decided", "strict"}
CHANGEABLE |= {"track"}  # no record depends on it
OF_MACHINE = ("device", "kernels")  # fields of a setting that another machine changes
BY_METHOD = ("methods", "search.spaces")  # compared for the methods that both recipes have

_LOG = logging.getLogger(__name__)


def require_same_recipe(path: Path, recipe: Recipe, *, before_cuts: bool = False) -> None:
    """Check that `path` is new, empty, or a run directory of this recipe.

    Args:
        before_cuts: whether the choices of its default search spaces are not yet cut to its model.

    Raises:
        RunError: it is none of these.
    """
    if path.is_dir():
        require_self_contained(path)
    if has_recipe(path):
        stored = _read_stored_recipe(path)
        if stored:
            _require_same_plan(path, stored, recipe)
            recipe = _cut_alike(recipe, stored) if before_cuts else recipe
        if stored and (differing := _list_differences(stored, recipe)):
            raise RunError(
                f"{path} was made by another recipe, which differs in {', '.join(differing)}. Name another run "
                "directory with --run, or remove this one."
            )
    elif path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file. Name a new or empty directory with --run.")
    elif path.exists() and any(not entry.name.startswith(WRITTEN_BEFORE_RECIPE) for entry in path.iterdir()):
        raise RunError(
            f"{path} contains other files and is not a run directory. Name a new or empty directory with --run."
        )


def take_date(path: Path, recipe: Recipe) -> Recipe:
    """Return the recipe with the date that its run directory has for chat templates: the day on which the run began.

    With the date of today, a run that is continued would have other prompts.
    """
    if recipe.data.date or not has_recipe(path):
        return recipe
    try:
        return recipe.set_date(read_recipe(path).data.date)
    except RunError:
        return recipe  # `require_same_recipe` says what is wrong


def _require_same_plan(path: Path, stored: Recipe, recipe: Recipe) -> None:
    """Check that a comparison that runs until decided keeps its plan, on which the decisions of its looks rest.

    Raises:
        RunError: the plan differs.
    """
    if stored.until_decided not in {None, recipe.until_decided}:
        raise RunError(
            f"{path} has until_decided={stored.until_decided}, and what its looks decided rests on this number. Write "
            f"until_decided={stored.until_decided} to continue. Seeds may be added. Or name another run directory with "
            "--run."
        )


def _read_stored_recipe(path: Path) -> Recipe | None:
    """Read the recipe of the directory. Return None if it is damaged; then `require_same_setting` protects the records.

    Raises:
        RunError: it cannot be read, and no trial shows that the directory is ours.
    """
    try:
        if damaged := find_damaged_files(path, {RECIPE}, required=(RECIPE,)):
            raise RunError(f"{path / damaged[0]} is damaged.")
    except RunError as error:
        _accept_damaged(path, error)
        return None
    try:
        return read_recipe(path)
    except RunError as error:
        if (path / CHECKSUMS).exists():  # it is as it was written, so another version wrote it
            raise RunError(f"{error} Or update tuneoff, if a newer version wrote it.") from error
        _accept_damaged(path, error)
        return None


def _accept_damaged(path: Path, error: RunError) -> None:
    """Warn that the recipe is damaged, if trials show that the directory is ours."""
    if not (path / TRIALS).is_dir():
        raise error
    _LOG.warning("%s It is written again.", error)


def _cut_alike(recipe: Recipe, stored: Recipe) -> Recipe:
    """Return the recipe with those choices of its default search spaces that the stored one has, if it has fewer."""
    cut: dict[str, Space] = {}
    for label in recipe.methods.keys() & stored.methods.keys():
        written = recipe.search.spaces.get(label, {}) if recipe.search else {}
        kept = {name: choices for name, choices in stored.get_space(label).items() if not isinstance(choices, Range)}
        cut[label] = {
            name: kept[name]
            for name, choices in recipe.get_space(label).items()
            if name in kept and name not in written and not isinstance(choices, Range)
            if all(choice in choices for choice in kept[name])
        }
    return cut_spaces(recipe, cut)


def _list_differences(stored: Recipe, recipe: Recipe) -> list[str]:
    old, new = _to_comparable(stored), _to_comparable(recipe)
    shared = stored.methods.keys() & recipe.methods.keys()
    differing = [name for name in new if name not in BY_METHOD and new[name] != old[name]]
    for part in BY_METHOD:
        differing += [f"{part}.{label}" for label in shared if new[part].get(label) != old[part].get(label)]
    return sorted(differing)


def _to_comparable(recipe: Recipe) -> dict[str, Any]:
    """Return what must stay the same, with the search spaces as an entry of their own."""
    tree = {name: value for name, value in recipe.to_dict().items() if name not in CHANGEABLE}
    spaces = (tree["search"] or {}).pop("spaces", {})
    return tree | {"search.spaces": spaces}


def adopt_setting(
    path: Path, records: Sequence[Record], setting: Setting, *, elsewhere: bool
) -> tuple[Setting, dict[str, str | None]]:
    """Return the setting for new records of a run, and what of it is different on this machine.

    Args:
        records: of the run.
        setting: of this machine.
        elsewhere: whether another processor, or other kernels, may go on with the run.

    Raises:
        RunError: something else differs, or this does and `elsewhere` is False.
    """
    if not records:
        return setting, {}
    stored = records[0].trial.setting
    if stored.kernels is None:  # of version 0.1, which did not know them
        setting = setting.model_copy(update={"kernels": None})
    moved = {name: getattr(setting, name) for name in OF_MACHINE if getattr(setting, name) != getattr(stored, name)}
    if moved and elsewhere:
        setting = setting.model_copy(update={name: getattr(stored, name) for name in OF_MACHINE})
    elif moved and setting.model_copy(update={name: getattr(stored, name) for name in moved}) == stored:
        raise RunError(
            f"The records in {path} were made elsewhere: "
            + "; ".join(f"{name} {getattr(stored, name)}, here {value}" for name, value in moved.items())
            + ". The same trial has other numbers there. Go on there, name another run directory with --run, or add "
            "--elsewhere, which marks every new record."
        )
    require_same_setting(path, records, setting)
    return setting, moved


def adopt_setting_of_run(place: str, own: Setting, wanted: Setting, *, elsewhere: bool) -> dict[str, str | None]:
    """Return what is different on a worker's machine from the setting of a trial, where that is allowed.

    Args:
        place: the run directory or its URL, for messages.
        own: the setting as this machine has it.
        wanted: the setting of the trial.
        elsewhere: whether another processor, or other kernels, may run trials.

    Raises:
        RunError: something else differs, or this does and `elsewhere` is False. The message names it.
    """
    own = own.model_copy(update={"data": restore_place(own.data, wanted.data)})
    if wanted.kernels is None:
        own = own.model_copy(update={"kernels": None})
    differing = {
        name: getattr(own, name) for name in Setting.model_fields if getattr(own, name) != getattr(wanted, name)
    }
    if not differing or (elsewhere and differing.keys() <= set(OF_MACHINE)):
        return differing
    raise RunError(
        f"This machine cannot run trials of {place}, because they could not be ranked with the others: "
        + "; ".join(_describe_difference(name, getattr(own, name), getattr(wanted, name)) for name in differing)
        + ". Use like machines with the same versions, data and model, or make a run of its own for each kind of "
        "machine and compare them with `tuneoff report RUN --against OTHER`."
    )


def _describe_difference(name: str, here: Any, there: Any) -> str:  # Any: values of a setting
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        keys = [key for key in {**there, **here} if here.get(key) != there.get(key)]
        return "; ".join(f"{name}.{key} is {here.get(key)} here and {there.get(key)} there" for key in keys)
    if isinstance(here, Options) and isinstance(there, Options):
        return _describe_difference(name, here.model_dump(mode="json"), there.model_dump(mode="json"))
    return f"{name} is {here} here and {there} there"


def require_same_setting(path: Path, records: Iterable[Record], setting: Setting) -> None:
    """Check that new records of this setting can be ranked with the records of the run directory `path`.

    Raises:
        RunError: something differs, such as the content of the data, the processor or the version of a library.
    """
    for record in records:
        stored = record.trial.setting
        differing = [name for name in Setting.model_fields if getattr(stored, name) != getattr(setting, name)]
        if differing:
            raise RunError(
                f"The records in {path} have another setting, which differs in {', '.join(differing)}, so they "
                "cannot be ranked with new ones. Name another run directory with --run, or remove this one."
            )
