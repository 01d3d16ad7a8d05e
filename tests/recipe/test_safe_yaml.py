"""YAML from a stranger is read without surprises and within limits."""

import time

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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("methods:\n  lora: {rank: 4}\n  full: {}\n  lora: {rank: 8}\n", "'lora' is in line 2 and again in line 4"),
        ("{a: 1, a: 2}", "'a' is in line 1 and again in line 1"),
        ("1: a\n1.0: b", "'1.0' is in line 1 and again in line 2"),
        ("- x\n- &m {a: 1,\n   'a': 1}\n- *m", "'a' is in line 2 and again in line 3"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text: str, lines: str) -> None:
    with pytest.raises(RecipeError, match=lines):
        parse_yaml(text, "here")


def test_the_same_key_in_two_mappings_is_no_repetition_and_a_merged_key_may_be_overridden() -> None:
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}", "here") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}


@pytest.mark.parametrize("key", ["<<", "a"])
def test_merges_that_stand_for_too_many_values_are_refused_before_they_are_made(key: str) -> None:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{i}: &a{i} {{{key}: [*a{i - 1}, *a{i - 1}, *a{i - 1}]}}" for i in range(1, 17)]
    text = "\n".join(lines)
    assert len(text) < 600
    start = time.monotonic()
    with pytest.raises(RecipeError, match="more than 100,000 values"):
        parse_yaml(text, "here")
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(("text", "value"), [("", None), ("# nothing", None), ("5", 5)])
def test_a_document_may_be_empty_or_one_value(text: str, value: object) -> None:
    assert parse_yaml(text, "here") == value
