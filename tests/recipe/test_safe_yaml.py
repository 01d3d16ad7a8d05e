"""YAML from a stranger is read without surprises and within limits."""

import pytest

from tuneoff.errors import RecipeError
from tuneoff.recipe.safe_yaml import MAX_DEPTH, parse_yaml


def test_a_number_without_a_decimal_point_is_a_number() -> None:
    assert parse_yaml("[1e-5, 2E+3, 1e-5x]", "here") == [1e-5, 2000.0, "1e-5x"]


def test_yaml_that_would_build_objects_is_refused() -> None:
    with pytest.raises(RecipeError, match="here cannot be read as YAML"):
        parse_yaml("!!python/object/apply:os.system ['true']", "here")


def test_deep_yaml_is_refused_before_it_is_parsed() -> None:
    assert parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "here")
    with pytest.raises(RecipeError, match="nested more than 100 deep"):
        parse_yaml("[" * 20_000 + "]" * 20_000, "here")


def test_aliases_that_stand_for_too_many_values_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(RecipeError, match="more than 100,000 values"):
        parse_yaml("\n".join(lines), "here")


@pytest.mark.parametrize("text", ["&a [*a]", '"\\ud800"', "2026-13-01"], ids=["cycle", "surrogate", "13th month"])
def test_yaml_that_json_could_not_store_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="cannot be read as YAML"):
        parse_yaml(text, "here")
