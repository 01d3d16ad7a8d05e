"""Recipes: what is written, what is filled in, and what is refused with the nearest right word."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tuneoff.config.search_space import Range
from tuneoff.errors import RecipeError
from tuneoff.recipe.loading import apply_overrides, copy_recipe, load_recipe, shipped_recipes
from tuneoff.recipe.recipe import Recipe


@pytest.fixture
def written() -> dict[str, Any]:
    return {
        "name": "mine",
        "model": {"name": "m"},
        "data": {"source": "aclsum"},
        "methods": {"base": None, "lora": None},
    }


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    assert load_recipe(name).name == name


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_filled_in_recipe_is_the_same_recipe_again(name: str) -> None:
    filled_in = load_recipe(name).to_dict()
    assert Recipe.read(yaml.safe_load(yaml.safe_dump(filled_in))).to_dict() == filled_in


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_filled_in_recipe_searches_the_same_spaces_again(name: str) -> None:
    recipe = load_recipe(name)
    again = Recipe.read(recipe.to_dict())
    assert {label: again.get_space(label) for label in again.methods} == {
        label: recipe.get_space(label) for label in recipe.methods
    }


def test_a_filled_in_recipe_has_the_spaces_that_were_left_to_the_methods(written: dict[str, Any]) -> None:
    recipe = Recipe.read(apply_overrides(written, ["search={}", "methods.lora.rank=8", "methods.lora.dropout=0"]))
    assert recipe.to_dict()["search"]["spaces"]["lora"].keys() == {"learning_rate", "alpha", "modules"}


def test_a_method_is_known_by_its_label(written: dict[str, Any]) -> None:
    assert Recipe.read(written).methods["lora"].name == "lora"


def test_one_method_may_be_compared_with_itself_under_two_labels(written: dict[str, Any]) -> None:
    written["methods"]["wide"] = {"method": "lora", "rank": 64}
    assert Recipe.read(written).methods["wide"].model_dump()["rank"] == 64


def test_methods_may_be_a_list_of_names(written: dict[str, Any]) -> None:
    assert list(Recipe.read(written | {"methods": ["base", "full"]}).methods) == ["base", "full"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"Unknown key 'training.epoch'. Did you mean 'epochs'\?"),
        ("trainings.epochs=3", r"Unknown key 'trainings'. Did you mean 'training'\?"),
        ("methods.lora.rnk=3", r"Unknown key 'methods.lora.rnk'. Did you mean 'rank'\?"),
        ("methods.lorra={}", r"No method 'lorra'. Did you mean 'lora'\?"),
        ("data.aspec=outcome", r"Unknown key .*aspec'. Did you mean 'aspect'\?"),
        ("data.source=hubb", r"data: .*hubb"),
        ("methods.lora.rank=0", r"methods.lora.rank: .*greater than or equal to 1 .got 0"),
        ("training.epochs=many", r"training.epochs: .*integer.*got 'many'"),
        ("seeds=[1,1]", "same seed twice"),
        ("seeds=[-1]", "greater than or equal to 0"),
        ("methods=[{lora: {rank: 8}}]", "write the methods to compare"),
        ("methods={lora: 5}", "methods.lora is 5. Write its hyper-parameters"),
        ("methods={my: lora}", "methods.my is 'lora'"),
        ("methods={1: null}", "write the methods to compare"),
        ("methods.lora.learning_rate=-1", "methods.lora.learning_rate: .*greater than 0"),
        ("methods.lora.learning_rate=.nan", "methods.lora.learning_rate: .*finite"),
        ("methods.full.weight_decay=-1", "methods.full.weight_decay: .*greater than or equal to 0"),
        ("methods.base.learning_rate=1", "methods.base.learning_rate"),
        ("methods=[]", "write the methods to compare"),
        ("epochs", "is no override"),
        ("name.x=1", "single value 'mine'"),
        ("training.epochs=[", "cannot be read as YAML"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(written: dict[str, Any], override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.read(apply_overrides(written, [override]))


def test_an_override_is_typed(written: dict[str, Any]) -> None:
    recipe = Recipe.read(
        apply_overrides(written, ["training.epochs=7", "methods.lora.modules=[q_proj]", "seeds=[1, 2]"])
    )
    assert (recipe.training.epochs, recipe.methods["lora"].model_dump()["modules"], recipe.seeds) == (
        7,
        ("q_proj",),
        (1, 2),
    )


def test_an_override_reaches_a_method_in_a_list_of_names(written: dict[str, Any]) -> None:
    recipe = Recipe.read(apply_overrides(written | {"methods": ["base", "lora"]}, ["methods.lora.rank=2"]))
    assert recipe.methods["lora"].model_dump()["rank"] == 2


def test_a_recipe_that_is_nowhere_is_refused_with_the_nearest_shipped_one() -> None:
    with pytest.raises(RecipeError, match=r"neither a file nor a shipped recipe. Did you mean 'demo'\?"):
        load_recipe("demmo")


def test_a_recipe_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match="is not UTF-8"):
        load_recipe(tmp_path / "r.yaml")


def test_a_recipe_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("a: [")
    with pytest.raises(RecipeError, match="cannot be read as YAML"):
        load_recipe(tmp_path / "r.yaml")


def test_a_recipe_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("- a\n- b\n")
    with pytest.raises(RecipeError, match="mapping"):
        load_recipe(tmp_path / "r.yaml", ["training.epochs=1"])


def test_yaml_that_would_build_objects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(RecipeError, match="cannot be read as YAML"):
        load_recipe(tmp_path / "r.yaml")


def test_a_shipped_recipe_is_copied_but_never_over_a_file(tmp_path: Path) -> None:
    copy_recipe("demo", tmp_path / "mine.yaml")
    with pytest.raises(RecipeError, match="exists already"):
        copy_recipe("demo", tmp_path / "mine.yaml")


def test_the_reports_recipe_has_its_one_rate_for_all() -> None:
    methods = load_recipe("gpt-neo-cnn-dailymail-shared-rate").methods
    assert {m.learning_rate for label, m in methods.items() if label != "base"} == {5e-3}


def test_the_fair_recipe_is_the_reports_but_for_what_a_fair_choice_needs() -> None:
    shared, fair = (load_recipe(f"gpt-neo-cnn-dailymail{end}") for end in ("-shared-rate", ""))
    differing = {name for name in Recipe.model_fields if getattr(shared, name) != getattr(fair, name)}
    assert differing == {"name", "note", "methods", "search", "seeds"}
    assert {label: m.name for label, m in shared.methods.items()} == {
        label: m.name for label, m in fair.methods.items()
    }


def test_the_fair_recipe_searches_every_rate_and_confirms_on_fresh_seeds() -> None:
    fair = load_recipe("gpt-neo-cnn-dailymail")
    assert fair.search is not None
    assert [label for label in fair.methods if "learning_rate" in fair.get_space(label)] == [
        "last-layer", "lora", "soft-prompt"
    ]  # fmt: skip
    assert len(fair.seeds) == 3
    assert fair.search.seed not in fair.seeds


@pytest.mark.parametrize(
    ("label", "knob"),
    [("lora", "rank"), ("lora", "alpha"), ("lora", "modules"), ("soft-prompt", "tokens"), ("soft-prompt", "init")],
)
def test_the_shape_that_the_report_chose_is_among_those_that_the_fair_recipe_tries(label: str, knob: str) -> None:
    shared, fair = (load_recipe(f"gpt-neo-cnn-dailymail{end}") for end in ("-shared-rate", ""))
    choices = fair.get_space(label)[knob]
    assert not isinstance(choices, Range)
    assert shared.methods[label].model_dump()[knob] in choices


def test_a_number_without_a_point_is_a_number(tmp_path: Path) -> None:
    assert apply_overrides({}, ["a.b=1e-5", "a.c=[1e-4, 2E+3]", "a.d=1e-5x"]) == {
        "a": {"b": 1e-5, "c": [1e-4, 2000.0], "d": "1e-5x"}
    }


def test_choices_of_a_space_are_what_the_method_reads(written: dict[str, Any]) -> None:
    spaces = {"lora": {"rank": ["4", 8.0], "learning_rate": ["1e-4", 1e-3]}}
    recipe = Recipe.read(written | {"methods": ["base", "lora"], "search": {"spaces": spaces}, "seeds": [1, 2, 3]})
    assert recipe.get_space("lora")["rank"] == (4, 8)
    assert recipe.get_space("lora")["learning_rate"] == (1e-4, 1e-3)


def test_an_override_of_a_knob_takes_it_out_of_the_search(written: dict[str, Any]) -> None:
    searched = written | {"methods": ["base", "lora"], "search": {"spaces": {"lora": {"rank": [2, 4]}}}, "seeds": [1]}
    recipe = Recipe.read(apply_overrides(searched, ["methods.lora.rank=16"]))
    assert "rank" not in recipe.get_space("lora")
    again = Recipe.read(apply_overrides(Recipe.read(searched).to_dict(), ["methods.lora.learning_rate=0.001"]))
    assert "learning_rate" not in again.get_space("lora")
    assert again.methods["lora"].learning_rate == 0.001
