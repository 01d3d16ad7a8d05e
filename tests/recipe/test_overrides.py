"""Overrides on the command line."""

from typing import Any

import pytest

from tuneoff.errors import RecipeError
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe


def test_an_override_is_read_with_the_type_of_its_field(values: dict[str, Any]) -> None:
    recipe = Recipe.read(
        apply_overrides(values, ["training.epochs=7", "methods.lora.modules=[q_proj]", "seeds=[1, 2]"])
    )
    assert (recipe.training.epochs, recipe.methods["lora"].model_dump()["modules"], recipe.seeds) == (
        7,
        ("q_proj",),
        (1, 2),
    )


def test_an_override_reaches_a_method_in_a_list_of_names(values: dict[str, Any]) -> None:
    recipe = Recipe.read(apply_overrides(values | {"methods": ["base", "lora"]}, ["methods.lora.rank=2"]))
    assert recipe.methods["lora"].model_dump()["rank"] == 2


def test_an_override_of_a_hyperparameter_removes_it_from_the_search(values: dict[str, Any]) -> None:
    searched = values | {"methods": ["base", "lora"], "search": {"spaces": {"lora": {"rank": [2, 4]}}}, "seeds": [1]}
    recipe = Recipe.read(apply_overrides(searched, ["methods.lora.rank=16"]))
    assert "rank" not in recipe.get_space("lora")
    again = Recipe.read(apply_overrides(Recipe.read(searched).to_dict(), ["methods.lora.learning_rate=0.001"]))
    assert "learning_rate" not in again.get_space("lora")
    assert again.methods["lora"].learning_rate == 0.001


OLD_SWEEP = {"vary": {"knob": "data.sizes.train", "values": [10, 20]}}
NEW_SWEEP = {"sweep": {"parameter": "data.sizes.train", "values": [10, 20]}}


@pytest.mark.parametrize("written", [OLD_SWEEP, NEW_SWEEP], ids=["old names", "new names"])
@pytest.mark.parametrize("names", [("vary", "knob"), ("sweep", "parameter")], ids=["by old names", "by new names"])
def test_an_override_of_a_sweep_may_use_its_names_of_before_0_2(
    values: dict[str, Any], written: dict[str, Any], names: tuple[str, str]
) -> None:
    sweep, parameter = names
    overrides = [f"{sweep}.{parameter}=data.sizes.test", f"{sweep}.values=[4, 5]"]
    recipe = Recipe.read(apply_overrides(values | written, overrides))
    assert recipe.sweep
    assert (recipe.sweep.parameter, recipe.sweep.values) == ("data.sizes.test", (4, 5))
    assert Recipe.read(apply_overrides(values | written, [f"{sweep}=null"])).sweep is None
    assert Recipe.read(apply_overrides(values, overrides)).sweep == recipe.sweep


def test_a_misspelled_key_of_a_sweep_by_its_old_name_names_the_keys_of_a_sweep(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"Unknown key 'vary\.valuse'\. Did you mean 'values'\?"):
        Recipe.read(apply_overrides(values | OLD_SWEEP, ["sweep.valuse=[1]"]))


def test_an_override_without_a_decimal_point_is_a_number() -> None:
    overrides = ["a.b=1e-5", "a.c=[1e-4, 2E+3]", "a.d=1e-5x"]
    assert apply_overrides({}, overrides) == {"a": {"b": 1e-5, "c": [1e-4, 2000.0], "d": "1e-5x"}}


def test_an_override_of_replicates_takes_the_place_of_seeds_and_the_other_way_round(values: dict[str, Any]) -> None:
    written = values | {"data": {"source": "aclsum", "sizes": {"train": 20}}}
    replicated = Recipe.read(apply_overrides(written | {"seeds": [7, 8]}, ["replicates=2"]))
    assert (replicated.replicates, replicated.seeds) == (2, (1, 2))
    seeded = Recipe.read(apply_overrides(replicated.to_dict(), ["seeds=[7, 8]"]))
    assert (seeded.replicates, seeded.seeds) == (None, (7, 8))


def test_overrides_of_both_seeds_and_replicates_are_refused(values: dict[str, Any]) -> None:
    written = values | {"data": {"source": "aclsum", "sizes": {"train": 20}}}
    with pytest.raises(RecipeError, match="remove either replicates or seeds"):
        Recipe.read(apply_overrides(written, ["seeds=[7, 8]", "replicates=2"]))
