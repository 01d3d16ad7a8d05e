"""Look at data before anything is trained, and begin a recipe from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuneoff.data.overview import Overview, build_overview
from tuneoff.errors import RecipeError
from tuneoff.recipe.data_argument import DataArgument, is_recipe, name_recipe, read_data_argument
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.safe_yaml import parse_yaml
from tuneoff.recipe.starter import DEFAULT_MODEL, format_starter, write_starter


def look(data: str | Path, *overrides: str, model: str | None = None) -> Overview:
    """Find out what data are: files, columns, examples, languages, lengths and repetitions.

    Args:
        data: a file, a folder, a pattern, the id of a data set on the hub, or a recipe.
        overrides: changes, as `data.fields.source=article`.
        model: whose tokenizer counts tokens; without one, a recipe's, or none.

    Raises:
        TuneoffError: the data or the model cannot be read. The message has the cure.
    """
    argument = read_data_argument(str(data), overrides, model)
    return _build_overview(argument)


def draft_recipe(data: str | Path, *overrides: str, model: str | None = None) -> str:
    """Return a commented recipe for data, as YAML.

    Args:
        data: a file, a folder, a pattern, or the id of a data set on the hub.
        overrides: changes of data and model, as `data.fields.source=article`.
        model: the base model; the built-in one unless given.

    Raises:
        TuneoffError: as for `look`; or the rows are no examples.
    """
    if is_recipe(str(data)):
        raise RecipeError(f"{data} is a recipe already. To copy a shipped one: tuneoff recipes NAME mine.yaml")
    argument = read_data_argument(str(data), overrides, model or DEFAULT_MODEL)
    overview = _build_overview(argument)
    return format_starter(overview, _dump_model(argument), name_recipe(str(data)))


def init(data: str | Path, *overrides: str, model: str | None = None, to: str | Path, force: bool = False) -> Path:
    """Write a commented recipe for data into a file.

    Args:
        data, overrides, model: as for `draft_recipe`.
        to: the file, which must not exist unless `force` is set.

    Raises:
        TuneoffError: as for `draft_recipe`; or the file exists.
    """
    path = Path(to)
    if path.exists() and not force:
        write_starter(path, "")  # refuses before anything is read
    write_starter(path, draft_recipe(data, *overrides, model=model), force=force)
    return path


def build_recipe(data: str | Path, *overrides: str, model: str | None = None) -> Recipe:
    """Return the recipe that `init` would write, with the overrides applied to all of it.

    Raises:
        TuneoffError: as for `draft_recipe`; or an override is wrong.
    """
    of_data = [override for override in overrides if override.startswith(("data.", "model."))]
    text = draft_recipe(data, *of_data, model=model)
    values: Any = parse_yaml(text, "the recipe")  # Any: what a recipe holds
    return Recipe.read(apply_overrides(values, overrides))


def _build_overview(argument: DataArgument) -> Overview:
    if argument.model is None:
        return build_overview(argument.data)
    from transformers import AutoConfig

    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.rope import count_positions
    from tuneoff.models.sources import find_source

    source = find_source(argument.model)
    tokenizer = load_tokenizer(source, argument.model)
    config = AutoConfig.from_pretrained(source.folder, trust_remote_code=argument.model.trust_remote_code)
    return build_overview(argument.data, tokenizer, count_positions(config))


def _dump_model(argument: DataArgument) -> dict[str, Any]:
    assert argument.model is not None, "a recipe has a model"
    return argument.model.model_dump(mode="json", exclude_unset=True)
