"""Nothing is written through a link that leads out of a run directory."""

import os
from pathlib import Path

import pytest

import tuneoff
from tests.report.synthetic import make_synthetic_recipe
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.runs import RunDirectory


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside.txt"
    file.write_text("precious")
    return file


def test_the_lock_of_a_fresh_folder_is_not_written_through_a_link(
    tmp_path: Path, outside: Path, lora_recipe: Recipe
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    (run.path / ".lock").symlink_to(outside)
    with pytest.raises(RunError, match="is a link or a folder"), run.lock():
        pass
    with pytest.raises(RunError, match="leads out of the run directory"):
        run.require_same_recipe(lora_recipe)
    assert outside.read_text() == "precious"


def test_a_link_within_the_directory_is_not_written_through_either(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    (tmp_path / "kept").write_text("precious")
    (tmp_path / ".lock").symlink_to("kept")
    with pytest.raises(RunError, match="is a link"), run.lock():
        pass
    assert (tmp_path / "kept").read_text() == "precious"


@pytest.mark.parametrize("name", [".SHA256SUMS.x", ".recipe.yaml.x"])
def test_links_with_names_that_a_crash_leaves_behind_are_refused(
    tmp_path: Path, outside: Path, lora_recipe: Recipe, name: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(outside)
    with pytest.raises(RunError, match="leads out"):
        RunDirectory(tmp_path / "run").require_same_recipe(lora_recipe)


@pytest.mark.parametrize("place", ["values", "values/train=100", "report", "sweep.yaml"])
def test_a_sweep_is_not_written_through_a_link(tmp_path: Path, place: str) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "sweep"
    elsewhere.mkdir()
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(elsewhere)
    recipe = make_synthetic_recipe(
        methods=["base", "lora"], sweep={"parameter": "data.sizes.train", "values": [100, 200]}
    )
    with pytest.raises(RunError, match="leads out of the run directory"):
        tuneoff.sweep(recipe, run=root)
    with pytest.raises(RunError, match="leads out of the run directory"):
        tuneoff.load_sweep(root)
    assert os.listdir(elsewhere) == []
