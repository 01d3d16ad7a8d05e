"""The JSON schema of a recipe: it accepts what the program accepts, and an editor can show what is wrong."""

from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml

from tuneoff.cli import main
from tuneoff.errors import RecipeError
from tuneoff.methods import METHODS
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.schema import build_schema, format_schema
from tuneoff.recipe.shipped_recipes import read_shipped_recipes

SCHEMA = build_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RECIPE: dict[str, Any] = {
    "name": "mine",
    "model": {"name": "m"},
    "data": {"source": "aclsum"},
    "methods": {"base": None, "lora": None},
}


def list_errors(recipe: object) -> list[str]:
    """The messages of an editor, of the branches of an `anyOf` those of the nearest."""
    return [jsonschema.exceptions.best_match([error]).message for error in VALIDATOR.iter_errors(recipe)]


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_schema_is_up_to_date() -> None:
    """To update it: tuneoff schema > src/tuneoff/recipe/recipe.schema.json"""
    shipped = resources.files("tuneoff.recipe") / "recipe.schema.json"
    assert shipped.read_text("utf-8") == format_schema() + "\n"


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == format_schema() + "\n"


@pytest.mark.parametrize("name", read_shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    assert list_errors(yaml.safe_load(read_shipped_recipes()[name])) == []


@pytest.mark.parametrize("name", read_shipped_recipes())
def test_a_filled_in_recipe_is_valid(name: str) -> None:
    assert list_errors(load_recipe(name).to_dict()) == []


ACCEPTED: dict[str, dict[str, Any]] = {
    "methods as a list": {"methods": ["base", "lora"]},
    "a label with a method": {"methods": {"wide": {"method": "lora", "rank": 64}}},
    "a label that repeats its method": {"methods": {"lora": {"method": "lora", "rank": 64}}},
    "modules by name": {"methods": {"lora": {"modules": ["q_proj"]}}},
    "any type of peft": {"methods": {"peft": {"peft_type": "LOHA", "r": 4}}},
    "a budget as a duration": {"budget": "2h30m"},
    "a budget in money": {"budget": {"money": 12.5, "price_per_hour": 2}},
    "a budget until a time of day": {"budget": {"until": "18:30"}},
    "no budget": {"budget": None},
    "one file": {"data": {"source": "jsonl", "files": "a.jsonl"}},
    "a file for each split": {"data": {"source": "csv", "files": {"train": "a.csv", "test": "b.csv"}}},
    "a memory limit": {"training": {"memory_limit": "8GiB"}},
    "choices and a range": {
        "search": {"spaces": {"lora": {"rank": [2, 4], "modules": ["attention", ["q_proj"]],
                                       "learning_rate": {"low": 1e-5, "high": 1e-3}}}},
    },
    "a space of another label": {
        "methods": {"wide": {"method": "lora"}}, "search": {"spaces": {"wide": {"alpha": [16.0]}}},
    },
    "a sweep": {"sweep": {"parameter": "data.sizes.train", "values": [12, 25]}},
    "a sweep by its old names": {"vary": {"knob": "data.sizes.train", "values": [12, 25]}},
}  # fmt: skip


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_program_reads_is_valid(change: dict[str, Any]) -> None:
    assert Recipe.read(RECIPE | change)
    assert list_errors(RECIPE | change) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelled section": ({"trainings": {}}, "'trainings' was unexpected"),
    "a misspelled key": ({"training": {"epoch": 3}}, "'epoch' was unexpected"),
    "a misspelled hyperparameter": ({"methods": {"lora": {"rnk": 3}}}, "'rnk' was unexpected"),
    "a wrong type": ({"training": {"epochs": "many"}}, "'many' is not of type 'integer'"),
    "a number out of range": ({"methods": {"lora": {"rank": 0}}}, "0 is less than the minimum of 1"),
    "an unknown choice": ({"model": {"name": "m", "device": "tpu"}}, "'tpu' is not one of"),
    "an unknown metric": ({"search": {"metric": "rogueL"}}, "'rogueL' is not one of"),
    "an unknown method in a list": ({"methods": ["lorra"]}, "'lorra' is not one of"),
    "an unknown method": ({"methods": {"mine": {"method": "lorra"}}}, "'lorra' is not one of"),
    "a label without a method": ({"methods": {"lorra": {"rank": 8}}}, "'method' is a required property"),
    "another method's hyperparameter": (
        {"methods": {"mine": {"method": "full", "rank": 8}}}, "'rank' was unexpected",
    ),
    "no method": ({"methods": {}}, "{} should be non-empty"),
    "a method without what it needs": ({"methods": {"peft": {"r": 4}}}, "'peft_type' is a required property"),
    "a budget without a unit": ({"budget": 90}, "90 is not"),
    "a misspelled hyperparameter of a space": ({"search": {"spaces": {"lora": {"rnk": [1]}}}}, "'rnk' was unexpected"),
    "a range of what is no number": (
        {"search": {"spaces": {"lora": {"modules": {"low": 1, "high": 2}}}}}, "is not of type 'array'",
    ),
    "a sweep of nothing": ({"sweep": {"values": [1, 2]}}, "is not valid under any of the given schemas"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_the_program_refuses_is_invalid(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError):
        Recipe.read(RECIPE | change)
    assert message in "\n".join(list_errors(RECIPE | change))


@pytest.mark.parametrize("missing", RECIPE)
def test_a_recipe_without_a_required_key_is_invalid(missing: str) -> None:
    recipe = {key: value for key, value in RECIPE.items() if key != missing}
    assert list_errors(recipe) == [f"{missing!r} is a required property"]


def test_every_field_has_a_description() -> None:
    options = {name: schema for name, schema in SCHEMA["$defs"].items() if "properties" in schema} | {"": SCHEMA}
    assert len(options) > len(METHODS)
    undescribed = [
        f"{name}.{key}" for name, schema in options.items() for key, field in schema["properties"].items()
        if not field.get("description")
    ]  # fmt: skip
    assert undescribed == []
