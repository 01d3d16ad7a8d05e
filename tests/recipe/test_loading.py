"""Recipe files: found by path or name, and refused if they are not safe YAML."""

from pathlib import Path

import pytest

from tuneoff.errors import RecipeError
from tuneoff.recipe.loading import load_recipe


def test_a_recipe_that_does_not_exist_is_refused_with_the_nearest_shipped_one() -> None:
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


def test_a_recipe_that_is_not_a_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("- a\n- b\n")
    with pytest.raises(RecipeError, match="mapping"):
        load_recipe(tmp_path / "r.yaml", ["training.epochs=1"])
