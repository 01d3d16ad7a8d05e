"""A study runs one knob along its values, all else equal, and lines up what came of it."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import RecordingListener
from tuneoff.cli.commands import main
from tuneoff.errors import RecipeError
from tuneoff.recipe.loading import load_recipe, shipped_recipes
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep

pytestmark = pytest.mark.usefixtures("quick_comparisons")


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneoff.report.sweep_page.write_sweep_report", lambda *_: None)


def varying(recipe: dict[str, Any], knob: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return recipe | {"sweep": {"parameter": knob, "values": values}} | more


def test_a_methods_own_knob_makes_methods_of_one_comparison(recipe: dict[str, Any], tmp_path: Path) -> None:
    sweep = tuneoff.sweep(varying(recipe, "methods.lora.rank", [1, 4], methods=["base", "lora"]), run=tmp_path / "s")
    assert [(p.value, p.place, p.row.records[0].trial.hyperparameters["rank"]) for p in sweep.lines["lora"]] == [
        (1, 1.0, 1), (4, 4.0, 4)
    ]  # fmt: skip
    assert [row.label for row in sweep.references] == ["base"]
    assert len(sweep.comparisons) == 1


def test_a_knob_of_the_data_makes_a_setting_of_its_own_with_each_value(recipe: dict[str, Any], tmp_path: Path) -> None:
    sweep = tuneoff.sweep(varying(recipe, "data.sizes.train", [3, 6], methods=["base", "lora"]), run=tmp_path / "study")
    assert {label: [p.value for p in line] for label, line in sweep.lines.items()} == {"base": [3, 6], "lora": [3, 6]}
    trained = [c.run.data.splits["train"].examples for c in sweep.comparisons.values()]
    assert trained == [3, 6]
    assert sweep.references == ()


def test_models_are_placed_by_their_size(recipe: dict[str, Any], tmp_path: Path, model_folder: Any) -> None:
    names = [str(model_folder("llama")), str(model_folder("qwen2"))]
    sweep = tuneoff.sweep(varying(recipe, "model.name", names, methods=["base"]), run=tmp_path / "study")
    sizes = [p.row.records[0].costs.total_parameters for p in sweep.lines["base"] if p.row.records[0].costs]
    assert [p.place for p in sweep.lines["base"]] == sizes


def test_a_study_runs_what_is_missing_and_nothing_else(recipe: dict[str, Any], tmp_path: Path) -> None:
    few = varying(recipe, "data.sizes.train", [3, 6], methods=["base"])
    more = varying(recipe, "data.sizes.train", [3, 6, 7], methods=["base"])
    tuneoff.sweep(few, run=tmp_path / "study")
    again = RecordingListener()
    tuneoff.sweep(more, run=tmp_path / "study", listener=again)
    assert again.started == ["base"]


def test_a_value_that_is_added_leaves_the_others_where_they_are(recipe: dict[str, Any]) -> None:
    def folders(values: list[int]) -> set[str]:
        return set(expand_sweep(Recipe.read(varying(recipe, "data.sizes.test", values))))

    assert folders([2, 4]) < folders([1, 2, 3, 4])
    with pytest.raises(RecipeError, match="same value twice"):
        folders([2, 2])


def test_others_are_searched_anew_at_every_value(recipe: dict[str, Any]) -> None:
    whole = Recipe.read(varying(recipe, "methods.lora.rank", [1, 4], search={"configurations": 2}))
    (comparison,) = expand_sweep(whole).values()
    for value in (1, 4):
        space = comparison.get_space(f"lora rank {value}")
        assert "learning_rate" in space
        assert "rank" not in space
    for part in expand_sweep(Recipe.read(varying(recipe, "data.sizes.train", [3, 6], search={}))).values():
        assert part.get_space("lora").keys() == {"learning_rate", "rank", "alpha", "dropout", "modules"}


def test_a_knob_that_is_not_there_is_refused_with_the_nearest(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'lora'"):
        tuneoff.sweep(varying(recipe, "methods.lara.rank", [1, 4]), run=tmp_path / "study")
    with pytest.raises(RecipeError, match="rank"):
        tuneoff.sweep(varying(recipe, "methods.lora.rnk", [1, 4]), run=tmp_path / "study")
    with pytest.raises(RecipeError, match="size"):
        tuneoff.sweep(varying(recipe, "data.size.train", [1, 4]), run=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_value_cannot_lead_out_of_the_studys_folder(recipe: dict[str, Any]) -> None:
    whole = Recipe.read(varying(recipe, "model.name", ["../../up", "/etc"]))
    assert all("/" not in name and ".." not in name for name in expand_sweep(whole))


def test_compare_says_how_to_run_a_study(recipe: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="tuneoff.sweep"):
        tuneoff.compare(varying(recipe, "methods.lora.rank", [1, 4]))


@pytest.mark.parametrize("name", [name for name, text in shipped_recipes().items() if "\nsweep:" in text])
def test_a_shipped_study_stands_for_comparisons(name: str) -> None:
    assert expand_sweep(load_recipe(name))


def test_the_command_line_runs_plans_and_shows_a_study(
    recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    file, run = tmp_path / "study.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(varying(recipe, "methods.lora.rank", [1, 4], methods=["base", "lora"])))
    assert main(["plan", str(file)]) == 0
    assert "lora rank 4" in capsys.readouterr().out
    assert main(["compare", str(file), "--run", str(run)]) == 0
    out = capsys.readouterr().out
    assert "methods.lora.rank" in out
    assert "rank" in next(line for line in out.splitlines() if "ROUGE-L" in line).split()
    assert main(["show", str(run)]) == 0
    assert "ROUGE-L" in capsys.readouterr().out
    assert main(["report", str(run), "--no-text"]) == 2
    assert "Report one of its comparisons so" in capsys.readouterr().err
