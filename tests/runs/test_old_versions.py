"""Run directories of earlier versions are read and continued."""

from pathlib import Path

import pytest
import yaml

from tests.api.stored_runs import write_run
from tests.report.synthetic import make_synthetic_recipe
from tuneoff.api.comparisons import load_comparison
from tuneoff.api.sweeps import OLD_SWEEP_FILE, VALUES, load_sweep
from tuneoff.cli import main
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.runs import RunDirectory
from tuneoff.system.checksums import CHECKSUMS, format_checksums, hash_files

RUN_FILES = ("recipe.yaml", "environment.json", "data.json")


def rename_sweep_key(run: Path) -> None:
    """Write the recipe as it was before version 0.2, with the key `vary` in place of `sweep`."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    assert recipe.pop("sweep") is None
    (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "vary": None}, sort_keys=False))
    (run / CHECKSUMS).write_text(format_checksums(hash_files([run / name for name in RUN_FILES], run)))


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "run", methods={"base": {}, "lora": {}}, seeds=[0, 1])
    rename_sweep_key(run)
    return run


@pytest.fixture
def old_sweep(tmp_path: Path) -> Path:
    recipe = make_synthetic_recipe(methods=["base", "lora"]).to_dict()
    del recipe["sweep"]
    recipe["vary"] = {"knob": "data.sizes.train", "values": [100, 200]}
    for name, comparison in expand_sweep(Recipe.read(recipe)).items():
        rename_sweep_key(write_run(tmp_path / VALUES / name, **comparison.to_dict()))
    (tmp_path / OLD_SWEEP_FILE).write_text(yaml.safe_dump(recipe, sort_keys=False))
    return tmp_path


def test_a_run_is_read(old_run: Path) -> None:
    comparison = load_comparison(old_run)
    assert {row.label: len(row.records) for row in comparison.rows} == {"base": 1, "lora": 2}
    assert comparison.run.left_out == {}


def test_a_run_takes_more_trials_of_the_same_recipe(old_run: Path) -> None:
    run = RunDirectory(old_run).read()
    recipe = run.recipe.model_copy(update={"seeds": (0, 1, 2)})
    RunDirectory(old_run).require_same_recipe(recipe)
    RunDirectory(old_run).begin(recipe, run.environment, run.data)
    assert len(RunDirectory(old_run).read().records) == len(run.records)
    assert "vary" not in (old_run / "recipe.yaml").read_text()


def test_a_sweep_is_read(old_sweep: Path) -> None:
    assert [point.value for point in load_sweep(old_sweep).lines["lora"]] == [100, 200]


@pytest.mark.parametrize("name", ["old_run", "old_sweep"])
def test_both_are_shown(name: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(request.getfixturevalue(name))]) == 0
    assert "lora" in capsys.readouterr().out
