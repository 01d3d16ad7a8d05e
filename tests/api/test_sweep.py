"""A sweep runs a comparison for each value of one parameter, with everything else equal."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import tuneoff
from tests.api.stored_runs import write_run
from tests.report.synthetic import make_synthetic_recipe
from tests.runner.recorded_runs import RecordingListener
from tuneoff.api.sweeps import OLD_SWEEP_FILE, VALUES, is_sweep
from tuneoff.cli import main
from tuneoff.errors import RecipeError, RunError
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.shipped_recipes import read_shipped_recipes
from tuneoff.recipe.sweep import expand_sweep

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture(autouse=True)
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneoff.report.sweep_page.write_sweep_report", lambda *_: None)


def make_sweep(recipe: dict[str, Any], parameter: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return recipe | {"sweep": {"parameter": parameter, "values": values}} | more


def test_values_of_a_hyperparameter_become_methods_of_one_comparison(recipe: dict[str, Any], tmp_path: Path) -> None:
    sweep = tuneoff.sweep(make_sweep(recipe, "methods.lora.rank", [1, 4], methods=["base", "lora"]), run=tmp_path / "s")
    assert [(p.value, p.place, p.row.records[0].trial.hyperparameters["rank"]) for p in sweep.lines["lora"]] == [
        (1, 1.0, 1), (4, 4.0, 4)
    ]  # fmt: skip
    assert [row.label for row in sweep.references] == ["base"]
    assert len(sweep.comparisons) == 1


def test_each_value_of_a_data_option_gets_its_own_comparison(recipe: dict[str, Any], tmp_path: Path) -> None:
    sweep = tuneoff.sweep(
        make_sweep(recipe, "data.sizes.train", [3, 6], methods=["base", "lora"]), run=tmp_path / "sweep"
    )
    assert {label: [p.value for p in line] for label, line in sweep.lines.items()} == {"base": [3, 6], "lora": [3, 6]}
    trained = [c.run.data.splits["train"].examples for c in sweep.comparisons.values()]
    assert trained == [3, 6]
    assert sweep.references == ()


def test_models_are_ordered_by_their_size(recipe: dict[str, Any], tmp_path: Path, model_folder: Any) -> None:
    names = [str(model_folder("llama")), str(model_folder("qwen2"))]
    sweep = tuneoff.sweep(make_sweep(recipe, "model.name", names, methods=["base"]), run=tmp_path / "sweep")
    sizes = [p.row.records[0].costs.total_parameters for p in sweep.lines["base"] if p.row.records[0].costs]
    assert [p.place for p in sweep.lines["base"]] == sizes


def test_a_sweep_runs_only_what_is_missing(recipe: dict[str, Any], tmp_path: Path) -> None:
    few = make_sweep(recipe, "data.sizes.train", [3, 6], methods=["base"])
    more = make_sweep(recipe, "data.sizes.train", [3, 6, 7], methods=["base"])
    tuneoff.sweep(few, run=tmp_path / "sweep")
    again = RecordingListener()
    tuneoff.sweep(more, run=tmp_path / "sweep", listener=again)
    assert again.started == ["base"]


def test_a_directory_from_before_version_0_2_can_be_loaded(tmp_path: Path) -> None:
    old = make_synthetic_recipe(methods=["base", "lora"]).to_dict() | {
        "vary": {"knob": "data.sizes.train", "values": [100, 200]}
    }
    del old["sweep"]
    for name, comparison in expand_sweep(Recipe.read(old)).items():
        write_run(tmp_path / VALUES / name, **comparison.to_dict())
    (tmp_path / OLD_SWEEP_FILE).write_text(yaml.safe_dump(old))
    assert is_sweep(tmp_path)
    assert [point.value for point in tuneoff.load_sweep(tmp_path).lines["lora"]] == [100, 200]


def test_adding_a_value_keeps_the_folders_of_the_others(recipe: dict[str, Any]) -> None:
    def folders(values: list[int]) -> set[str]:
        return set(expand_sweep(Recipe.read(make_sweep(recipe, "data.sizes.test", values))))

    assert folders([2, 4]) < folders([1, 2, 3, 4])
    with pytest.raises(RecipeError, match="same value twice"):
        folders([2, 2])


def test_the_other_hyperparameters_are_searched_at_every_value(recipe: dict[str, Any]) -> None:
    swept = Recipe.read(make_sweep(recipe, "methods.lora.rank", [1, 4], search={"configurations": 2}))
    (comparison,) = expand_sweep(swept).values()
    for value in (1, 4):
        space = comparison.get_space(f"lora rank {value}")
        assert "learning_rate" in space
        assert "rank" not in space
    for part in expand_sweep(Recipe.read(make_sweep(recipe, "data.sizes.train", [3, 6], search={}))).values():
        assert part.get_space("lora").keys() == {"learning_rate", "rank", "alpha", "dropout", "modules"}


def test_an_unknown_parameter_is_refused_with_the_nearest_known_one(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'lora'"):
        tuneoff.sweep(make_sweep(recipe, "methods.lara.rank", [1, 4]), run=tmp_path / "sweep")
    with pytest.raises(RecipeError, match="rank"):
        tuneoff.sweep(make_sweep(recipe, "methods.lora.rnk", [1, 4]), run=tmp_path / "sweep")
    with pytest.raises(RecipeError, match="size"):
        tuneoff.sweep(make_sweep(recipe, "data.size.train", [1, 4]), run=tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_a_value_cannot_lead_out_of_the_sweeps_folder(recipe: dict[str, Any]) -> None:
    swept = Recipe.read(make_sweep(recipe, "model.name", ["../../up", "/etc"]))
    assert all("/" not in name and ".." not in name for name in expand_sweep(swept))


def test_compare_refuses_a_sweep_and_says_how_to_run_it(recipe: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"tuneoff\.sweep"):
        tuneoff.compare(make_sweep(recipe, "methods.lora.rank", [1, 4]))


@pytest.mark.parametrize("name", [name for name, text in read_shipped_recipes().items() if "\nsweep:" in text])
def test_a_shipped_sweep_expands_to_comparisons(name: str) -> None:
    assert expand_sweep(load_recipe(name))


def test_the_command_line_plans_runs_and_shows_a_sweep(
    recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = tmp_path / "sweep.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(make_sweep(recipe, "methods.lora.rank", [1, 4], methods=["base", "lora"])))
    assert main(["plan", str(file)]) == 0
    assert "lora rank 4" in capsys.readouterr().out
    assert main(["compare", str(file), "--run", str(run)]) == 0
    out = capsys.readouterr().out
    assert "methods.lora.rank" in out
    assert "rank" in next(line for line in out.splitlines() if "ROUGE-L" in line).split()
    assert main(["show", str(run)]) == 0
    assert "ROUGE-L" in capsys.readouterr().out
    assert main(["report", str(run), "--no-text"]) == 2
    assert "need a single comparison" in capsys.readouterr().err


def test_a_sweep_file_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("[" * 3000)
    with pytest.raises(RunError, match=r"sweep\.yaml cannot be read"):
        tuneoff.load_sweep(tmp_path)
