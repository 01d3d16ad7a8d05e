"""The recipes that come with the package."""

from pathlib import Path

import pytest

from tuneoff.config.search_space import Range
from tuneoff.errors import RecipeError
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.shipped_recipes import copy_recipe, read_shipped_recipes


@pytest.mark.parametrize("name", read_shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    assert load_recipe(name).name == name


def test_a_shipped_recipe_is_never_copied_over_a_file(tmp_path: Path) -> None:
    copy_recipe("demo", tmp_path / "mine.yaml")
    with pytest.raises(RecipeError, match="exists already"):
        copy_recipe("demo", tmp_path / "mine.yaml")


def test_the_recipe_of_the_founding_report_has_one_rate_for_all_methods() -> None:
    methods = load_recipe("gpt-neo-cnn-dailymail-shared-rate").methods
    assert {m.learning_rate for label, m in methods.items() if label != "base"} == {5e-3}


def test_the_fair_recipe_differs_from_the_founding_report_only_in_how_it_chooses() -> None:
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
    ("label", "hyperparameter"),
    [("lora", "rank"), ("lora", "alpha"), ("lora", "modules"), ("soft-prompt", "tokens"), ("soft-prompt", "init")],
)
def test_the_fair_recipe_tries_the_values_of_the_founding_report(label: str, hyperparameter: str) -> None:
    shared, fair = (load_recipe(f"gpt-neo-cnn-dailymail{end}") for end in ("-shared-rate", ""))
    choices = fair.get_space(label)[hyperparameter]
    assert not isinstance(choices, Range)
    assert shared.methods[label].model_dump()[hyperparameter] in choices
