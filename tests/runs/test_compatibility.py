"""A run directory takes more methods and seeds of its recipe, and refuses every other change that decides numbers."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.runs import RunDirectory

RECIPE: dict[str, Any] = {
    "name": "r",
    "model": {"name": "m"},
    "data": {"source": "aclsum"},
    "methods": ["base", "lora"],
    "search": {"spaces": {"lora": {"rank": [2, 4]}}},
    "seeds": [1, 2],
}


@pytest.fixture
def require(tmp_path: Path, summary: DataSummary) -> Callable[..., None]:
    """A function that checks a changed recipe against a run directory of `RECIPE`."""
    directory = RunDirectory(tmp_path / "run")
    directory.begin(Recipe.read(RECIPE), {}, summary)
    return lambda **changes: directory.require_same_recipe(Recipe.read(RECIPE | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"note": "more seeds", "seeds": [1, 2, 3]},
        {"methods": ["base", "lora", "full"]},
        {"methods": ["base"], "search": {}},
        {"verdict": {"confidence": 0.9}, "budget": {"time": "2h"}},
        {"methods": ["base", "lora", "full"], "search": {"spaces": {"lora": {"rank": [2, 4]}, "full": {}}}},
    ],
    ids=["none", "seeds", "another method", "a method less", "verdict and budget", "another search space"],
)
def test_changes_that_keep_every_record_valid_are_accepted(
    changes: dict[str, Any], require: Callable[..., None]
) -> None:
    require(**changes)


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"training": {"epochs": 9}}, "training"),
        ({"model": {"name": "n"}}, "model"),
        ({"methods": {"base": {}, "lora": {"rank": 3}}}, "methods.lora"),
        ({"search": {"spaces": {"lora": {"rank": [2, 8]}}}}, "search.spaces.lora"),
        ({"search": {"configurations": 3, "spaces": {"lora": {"rank": [2, 4]}}}}, "search"),
        ({"name": "s", "training": {"epochs": 9}}, "name, training"),
    ],
)
def test_other_changes_are_refused_by_name(
    changes: dict[str, Any], differing: str, require: Callable[..., None]
) -> None:
    with pytest.raises(RunError, match=f"made by another recipe, which differs in {differing}"):
        require(**changes)


def test_a_comparison_may_begin_to_run_until_it_is_decided(require: Callable[..., None]) -> None:
    require(seeds=[1, 2, 3], until_decided=True)


@pytest.mark.parametrize(
    "later", [{}, {"until_decided": True}, {"until_decided": 4}], ids=["off", "replanned", "other"]
)
def test_a_comparison_that_runs_until_it_is_decided_keeps_its_plan(
    later: dict[str, Any], tmp_path: Path, summary: DataSummary
) -> None:
    directory, more = RunDirectory(tmp_path / "run"), RECIPE | {"seeds": [1, 2, 3, 4, 5]}
    directory.begin(Recipe.read(RECIPE | {"seeds": [1, 2, 3], "until_decided": True}), {}, summary)
    directory.require_same_recipe(Recipe.read(more | {"until_decided": 3}))
    with pytest.raises(RunError, match="Write until_decided=3 to continue"):
        directory.require_same_recipe(Recipe.read(more | later))


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        RunDirectory(tmp_path / "file").require_same_recipe(Recipe.read(RECIPE))


def test_a_directory_in_which_a_process_died_before_it_wrote_the_recipe_is_accepted(tmp_path: Path) -> None:
    for name in (".lock", "SHA256SUMS", ".SHA256SUMS.0a1b2c3d", ".recipe.yaml.0a1b2c3d"):
        (tmp_path / name).touch()
    RunDirectory(tmp_path).require_same_recipe(Recipe.read(RECIPE))


def test_a_run_keeps_the_date_of_its_prompts(tmp_path: Path, summary: DataSummary) -> None:
    directory, recipe = RunDirectory(tmp_path / "run"), Recipe.read(RECIPE)
    assert directory.take_date(recipe) == recipe
    began = recipe.set_date(datetime.date(2024, 7, 4))
    directory.begin(began, {}, summary)
    assert directory.take_date(recipe) == began
    directory.require_same_recipe(directory.take_date(recipe))


def test_a_recipe_with_another_date_than_its_run_is_refused(tmp_path: Path, summary: DataSummary) -> None:
    directory, recipe = RunDirectory(tmp_path / "run"), Recipe.read(RECIPE)
    directory.begin(recipe.set_date(datetime.date(2024, 7, 4)), {}, summary)
    other = recipe.set_date(datetime.date(2024, 7, 5))
    with pytest.raises(RunError, match="differs in data"):
        directory.require_same_recipe(directory.take_date(other))
