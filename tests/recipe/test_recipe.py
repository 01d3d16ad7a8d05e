"""Recipes: what a user can write, how defaults are filled in, and how a wrong key or value is refused."""

from typing import Any

import pytest
import yaml

from tuneoff.config.search import SEED_DISTANCE
from tuneoff.errors import RecipeError
from tuneoff.methods import GROUPS, METHODS
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.shipped_recipes import read_shipped_recipes


@pytest.mark.parametrize("name", read_shipped_recipes())
def test_a_complete_recipe_reads_as_the_same_recipe(name: str) -> None:
    complete = load_recipe(name).to_dict()
    assert Recipe.read(yaml.safe_load(yaml.safe_dump(complete))).to_dict() == complete


@pytest.mark.parametrize("name", read_shipped_recipes())
def test_a_complete_recipe_searches_the_same_spaces(name: str) -> None:
    recipe = load_recipe(name)
    again = Recipe.read(recipe.to_dict())
    assert {label: again.get_space(label) for label in again.methods} == {
        label: recipe.get_space(label) for label in recipe.methods
    }


def test_a_complete_recipe_contains_the_default_spaces_of_the_methods(values: dict[str, Any]) -> None:
    recipe = Recipe.read(apply_overrides(values, ["search={}", "methods.lora.rank=8", "methods.lora.dropout=0"]))
    assert recipe.to_dict()["search"]["spaces"]["lora"].keys() == {"learning_rate", "alpha", "modules"}


def test_a_label_that_names_a_method_selects_it(values: dict[str, Any]) -> None:
    assert Recipe.read(values).methods["lora"].name == "lora"


def test_a_method_can_be_compared_with_itself_under_another_label(values: dict[str, Any]) -> None:
    values["methods"]["wide"] = {"method": "lora", "rank": 64}
    assert Recipe.read(values).methods["wide"].model_dump()["rank"] == 64


@pytest.mark.parametrize("label", ["", "  ", "\u200b", "\u202e\t"])
def test_a_label_that_nobody_would_see_is_refused(values: dict[str, Any], label: str) -> None:
    values["methods"][label] = {"method": "lora"}
    with pytest.raises(RecipeError, match="would not be seen in a table"):
        Recipe.read(values)


def test_a_memory_limit_of_zero_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="no training fits into no memory"):
        Recipe.read(apply_overrides(values, ["training.memory_limit=0"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("methods.lora.rank=1000000000", "methods.lora.rank: .*1000000 "),
        ("training.epochs=1000000000", "training.epochs: .*100000 "),
        ("evaluation.unrelated_passages=1000000000", "unrelated_passages: .*10000 "),
        ("search={configurations: 1000000000}", "configurations: .*10000 "),
        ("search={rungs: 1000000000}", "rungs: .*20 "),
        ("replicates=1000000000", "replicates: .*10000 "),
        ("until_decided=1000000000", "until_decided: .*10000 "),
    ],
)
def test_a_size_that_would_fill_the_memory_is_refused_with_its_limit(
    values: dict[str, Any], change: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.read(apply_overrides(values, [change]))


def test_too_many_methods_seeds_or_trials_are_refused(values: dict[str, Any]) -> None:
    many = {f"lora-{i}": {"method": "lora"} for i in range(1000)}
    with pytest.raises(RecipeError, match=r"1,000 methods are more than a comparison can have, which is 500"):
        Recipe.read(values | {"methods": many})
    with pytest.raises(RecipeError, match=r"seeds: .*10000"):
        Recipe.read(values | {"seeds": list(range(100_000))})
    some = dict(list(many.items())[:50])
    with pytest.raises(RecipeError, match=r"50 methods with 5,000 seeds are 250,000 trials.* can have 20,000"):
        Recipe.read(values | {"methods": some, "seeds": list(range(5_000))})


def test_methods_can_be_a_list_of_names(values: dict[str, Any]) -> None:
    assert list(Recipe.read(values | {"methods": ["base", "full"]}).methods) == ["base", "full"]


def test_a_group_stands_for_its_methods_and_the_base_model(values: dict[str, Any]) -> None:
    assert list(Recipe.read(values | {"methods": ["prompts", "full"]}).methods) == [*GROUPS["prompts"], "full"]


def test_all_stands_for_every_method_that_needs_no_hyperparameter(values: dict[str, Any]) -> None:
    assert list(Recipe.read(values | {"methods": "all"}).methods) == [name for name in METHODS if name != "peft"]


def test_what_a_recipe_says_about_a_method_counts_also_where_a_group_has_it(values: dict[str, Any]) -> None:
    tree = apply_overrides(values | {"methods": "all"}, ["methods.lora.rank=3"])
    methods = Recipe.read(tree).methods
    assert methods["lora"].model_dump()["rank"] == 3
    assert len(methods) == len(GROUPS["all"])


def test_a_label_with_hyperparameters_is_not_a_group(values: dict[str, Any]) -> None:
    assert list(Recipe.read(values | {"methods": {"cheap": {"method": "lora", "rank": 1}}}).methods) == ["cheap"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"Unknown key 'training.epoch'. Did you mean 'epochs'\?"),
        ("trainings.epochs=3", r"Unknown key 'trainings'. Did you mean 'training'\?"),
        ("methods.lora.rnk=3", r"Unknown key 'methods.lora.rnk'. Did you mean 'rank'\?"),
        ("methods.lorra={}", r"No method 'lorra'. Did you mean 'lora'\?"),
        ("data.aspec=outcome", r"Unknown key 'data.aspec'. Did you mean 'aspect'\?"),
        ("data.max_tokens=many", r"^data.max_tokens: Input should be a valid integer"),
        ("verdict.margin_loss=.inf", r"^verdict.margin_loss: Input should be a finite number"),
        ("data={aspect: outcome}", r"Missing key 'data.source'. Available: hub, files, csv, tsv"),
        ("data=3", r"data must be a mapping of keys to values \(got 3\)."),
        ("data.source=hubb", r"^data.source is 'hubb', which is not supported. Did you mean 'hub'\?"),
        ("methods.lora.rank=0", r"methods.lora.rank: .*greater than or equal to 1 .got 0"),
        ("training.epochs=many", r"training.epochs: .*integer.*got 'many'"),
        ("verdict.metric=los", r"verdict.metric is 'los', which is not a metric. Did you mean 'loss'\?"),
        ("search={metric: rogueL}", r"search.metric is 'rogueL', which is not a metric. Did you mean 'rougeL'\?"),
        ("seeds=[1,1]", "same seed twice"),
        ("seeds=[-1]", "greater than or equal to 0"),
        ("methods=[{lora: {rank: 8}}]", "write the methods to compare"),
        ("methods={lora: 5}", "methods.lora is 5. Write its hyperparameters"),
        ("methods={my: lora}", "methods.my is 'lora'"),
        ("methods={1: null}", "write the methods to compare"),
        ("methods.lora.learning_rate=-1", "methods.lora.learning_rate: .*greater than 0"),
        ("methods.lora.learning_rate=.nan", "methods.lora.learning_rate: .*finite"),
        ("methods.full.weight_decay=-1", "methods.full.weight_decay: .*greater than or equal to 0"),
        ("methods.base.learning_rate=1", "methods.base.learning_rate"),
        ("methods=[]", "write the methods to compare"),
        ("epochs", "is not an override"),
        ("name.x=1", "single value 'mine'"),
        ("training.epochs=[", "cannot be read as YAML"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_the_cure(values: dict[str, Any], override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.read(apply_overrides(values, [override]))


def test_choices_of_a_space_are_converted_to_the_type_of_the_hyperparameter(values: dict[str, Any]) -> None:
    spaces = {"lora": {"rank": ["4", 8.0], "learning_rate": ["1e-4", 1e-3]}}
    recipe = Recipe.read(values | {"methods": ["base", "lora"], "search": {"spaces": spaces}, "seeds": [1, 2, 3]})
    assert recipe.get_space("lora")["rank"] == (4, 8)
    assert recipe.get_space("lora")["learning_rate"] == (1e-4, 1e-3)


SAMPLED = {"data": {"source": "aclsum", "sizes": {"train": 20}}, "replicates": 4}


def test_replicates_are_numbered_from_one_without_the_seeds_of_the_search(values: dict[str, Any]) -> None:
    assert Recipe.read(values | SAMPLED).seeds == (1, 2, 3, 4)
    assert Recipe.read(values | SAMPLED | {"search": {"seed": 2}}).seeds == (1, 3, 4, 5)
    second_is_one = 2**32 - SEED_DISTANCE + 1
    assert Recipe.read(values | SAMPLED | {"search": {"seed": second_is_one}}).seeds == (2, 3, 4, 5)


def test_a_complete_recipe_with_replicates_reads_as_the_same_recipe(values: dict[str, Any]) -> None:
    recipe = Recipe.read(values | SAMPLED)
    assert Recipe.read(recipe.to_dict()) == recipe
    assert "seeds" not in recipe.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [1, 2]}, "remove either replicates or seeds"),
        ({"data": {"source": "aclsum"}}, "data.sizes.train does not say how large"),
        ({"replicates": 1}, "greater than or equal to 2"),
    ],
)
def test_replicates_without_samples_of_their_own_are_refused(
    values: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.read(values | SAMPLED | change)


# until_decided


@pytest.mark.parametrize(
    ("changes", "planned", "seeds"),
    [
        ({}, 10, tuple(range(10))),
        ({"search": {}}, 10, tuple(range(1, 11))),
        ({"seeds": [3, 5, 8]}, 3, (3, 5, 8)),
        ({"until_decided": 4}, 4, (0, 1, 2, 3)),
        ({"until_decided": 3, "seeds": [1, 2, 3, 4]}, 3, (1, 2, 3, 4)),
        ({"until_decided": False}, None, (0,)),
    ],
)
def test_until_decided_is_the_number_of_seeds_that_are_planned(
    changes: dict[str, Any], planned: int | None, seeds: tuple[int, ...], values: dict[str, Any]
) -> None:
    recipe = Recipe.read(values | {"until_decided": True} | changes)
    assert (recipe.until_decided, recipe.seeds) == (planned, seeds)
    assert Recipe.read(recipe.to_dict()).until_decided == planned


def test_until_decided_with_replicates_plans_as_many(values: dict[str, Any]) -> None:
    assert Recipe.read(values | SAMPLED | {"until_decided": True}).until_decided == SAMPLED["replicates"]


@pytest.mark.parametrize("changes", [{"seeds": [0]}, {"seeds": [0], "until_decided": 5}])
def test_until_decided_needs_two_seeds(changes: dict[str, Any], values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="needs at least two seeds: remove seeds, or write all"):
        Recipe.read(values | {"until_decided": True} | changes)


def test_a_sweep_does_not_run_until_it_is_decided(values: dict[str, Any]) -> None:
    sweep = {"parameter": "methods.lora.rank", "values": [2, 4]}
    with pytest.raises(RecipeError, match="a sweep makes several comparisons, and until_decided is for one"):
        Recipe.read(values | {"methods": ["base", "lora"], "sweep": sweep, "until_decided": True})
