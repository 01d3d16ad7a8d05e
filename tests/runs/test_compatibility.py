"""A run directory takes more methods and seeds of its recipe, and refuses every other change that decides numbers."""

import datetime
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.samples import make_setting
from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.methods import METHODS
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runs import RunDirectory
from tuneoff.runs.compatibility import adopt_setting

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


HERE = make_setting().model_copy(update={"kernels": "AVX512"})


def make_records(**changes: Any) -> list[Record]:
    method = METHODS["lora"]()
    trial = Trial(
        label="lora", method="lora", hyperparameters=method.model_dump(mode="json"),
        setting=HERE.model_copy(update=changes), seed=0,
    )  # fmt: skip
    return [Record(trial=trial, status="failed", reason="x")]


@pytest.mark.parametrize("changes", [{"kernels": "AVX2"}, {"device": "Another Processor"}])
def test_going_on_with_other_kernels_or_another_processor_is_refused_or_marked(changes: dict[str, str]) -> None:
    records = make_records(**changes)
    with pytest.raises(RunError, match=r"were made elsewhere: .* add --elsewhere"):
        adopt_setting(Path("run"), records, HERE, elsewhere=False)
    setting, moved = adopt_setting(Path("run"), records, HERE, elsewhere=True)
    assert setting == records[0].trial.setting
    assert moved == {name: getattr(HERE, name) for name in changes}


def test_what_is_not_of_the_machine_is_refused_elsewhere_too() -> None:
    records = make_records(kernels="AVX2", data_fingerprint="other")
    with pytest.raises(RunError, match="differs in data_fingerprint"):
        adopt_setting(Path("run"), records, HERE, elsewhere=True)


def test_a_run_on_the_same_machine_and_one_of_an_early_version_go_on_without_a_mark() -> None:
    assert adopt_setting(Path("run"), make_records(), HERE, elsewhere=False) == (HERE, {})
    early = make_records(kernels=None)
    assert adopt_setting(Path("run"), early, HERE, elsewhere=False) == (early[0].trial.setting, {})
    assert adopt_setting(Path("run"), [], HERE, elsewhere=False) == (HERE, {})


@pytest.mark.parametrize("variable", ["ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"])
def test_the_level_of_the_kernels_is_part_of_the_setting(variable: str) -> None:
    code = "from tuneoff.system.environment import get_kernel_level; print(get_kernel_level())"
    levels = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **limit}, capture_output=True, text=True, check=True
        ).stdout
        for limit in ({}, {variable: "default"})
    ]
    assert levels[0] != levels[1]


def test_a_trial_of_an_early_version_keeps_its_id() -> None:
    assert "kernels" not in make_records(kernels=None)[0].trial.setting.model_dump(mode="json")
