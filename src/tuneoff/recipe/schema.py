"""The JSON schema of a recipe, with which an editor completes, explains and checks the keys of a recipe.

`tuneoff schema > recipe.schema.json` writes it. An editor with the YAML language server uses it for every recipe that
begins with the line `# yaml-language-server: $schema=recipe.schema.json`; the path is relative to the recipe.

The schema is stricter than the program in two points: a number must be written as a number, and a label that is the
name of a method takes the hyperparameters of that method. It does not check what depends on several values, such as
that the fractions of validation and test leave some rows for train.

The file recipe.schema.json beside this module is the output of `tuneoff schema`.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from tuneoff.methods import GROUPS, METHODS
from tuneoff.metrics import METRICS
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.recipe.recipe import Recipe

Schema = dict[str, Any]  # Any: JSON

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:tuneoff:recipe"
NUMBERS = ("integer", "number")


def build_schema() -> Schema:
    """Build the schema of a recipe as a user writes it, with the shorter forms of `methods`, `budget` and `files`."""
    models: list[type[BaseModel]] = [Recipe, *METHODS.values()]
    _, generated = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    definitions: Schema = generated["$defs"]
    recipe: Schema = definitions.pop("Recipe")
    del definitions["Method"]  # the abstract class; the methods themselves take its place
    methods = {name: _add_method_key(name, definitions.pop(method.__name__)) for name, method in METHODS.items()}
    definitions |= methods | {"any-method": _build_any_method(methods)}
    _replace(recipe, "methods", _build_methods(methods))
    _replace(definitions["SearchOptions"], "spaces", _build_spaces(methods))
    add_metric_names(definitions)
    _replace(recipe, "metrics", _build_metrics())
    recipe |= _restrict_to_shipped_metrics()
    _accept_old_name(recipe, "sweep", "vary")
    _accept_old_name(definitions["SweepOptions"], "parameter", "knob")
    return {"$schema": DIALECT, "$id": ID} | recipe | {"title": "tuneoff recipe", "$defs": definitions}


def format_schema() -> str:
    """Return the schema as JSON text."""
    return json.dumps(build_schema(), indent=2)


def add_metric_names(definitions: Schema) -> None:
    """Name the metrics, which the options in `config` do not know. A recipe may have metrics of the user's own."""
    own = {"type": "string", "pattern": r"^[A-Za-z_]\w*$"}
    for options in ("SearchOptions", "VerdictOptions"):
        metric = definitions[options]["properties"]["metric"]
        metric.pop("type", None)
        other = [choice for choice in metric.pop("anyOf", []) if choice.get("type") == "null"]
        metric["anyOf"] = [{"enum": list(METRICS)}, own, *other]


class _Generator(GenerateJsonSchema):
    """Pydantic's generator without a title for each field, which would repeat the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # Any: one of pydantic's types of core schemas
        return False


def _add_method_key(name: str, method: Schema) -> Schema:
    key = {"const": name, "description": "The name of the method. It may be left out where the label is the same."}
    known = [optimizer for optimizer in OPTIMIZERS if optimizer in METHODS[name].optimizers]
    optimizer = method["properties"]["optimizer"] | {"enum": known}
    return method | {"properties": {"method": key} | method["properties"] | {"optimizer": optimizer}}


def _build_any_method(methods: Mapping[str, Schema]) -> Schema:
    """A method under a label of the user's own: its key `method` decides which hyperparameters it takes."""
    return {
        "type": "object",
        "properties": {"method": {"enum": list(methods), "description": "The name of the method."}},
        "required": ["method"],
        "allOf": [
            {"if": {"properties": {"method": {"const": name}}, "required": ["method"]}, "then": _refer_to(name)}
            for name in methods
        ],
    }


def _build_methods(methods: Mapping[str, Schema]) -> Schema:
    """A name, a list of names, or a mapping from labels to hyperparameters. A name may be that of a group."""
    usable_alone = [name for name, method in methods.items() if "required" not in method]
    by_label = {
        name: {"anyOf": [_refer_to(name), {"type": "null"}]} if name in usable_alone else _refer_to(name)
        for name in methods
    } | {group: {"anyOf": [_refer_to("any-method"), {"type": "null"}]} for group in GROUPS}
    names = {"enum": [*usable_alone, *GROUPS]}
    labels = {"properties": by_label, "additionalProperties": _refer_to("any-method"), "minProperties": 1}
    return {"anyOf": [names, {"type": "array", "items": names, "minItems": 1}, {"type": "object", **labels}]}


def _build_spaces(methods: Mapping[str, Schema]) -> Schema:
    """For each label, the choices or the range of each hyperparameter."""
    any_space = {"type": "object", "additionalProperties": _build_domain({}, accepts_range=True)}
    by_label = {name: _build_space(name, method) for name, method in methods.items()}
    return {"type": "object", "properties": by_label, "additionalProperties": any_space}


def _build_space(name: str, method: Schema) -> Schema:
    domains = {
        key: _build_domain(_refer_to(f"{name}/properties/{key}"), accepts_range=field.get("type") in NUMBERS)
        | {"description": field["description"]}
        for key, field in method["properties"].items()
        if key not in {"method", "optimizer"}  # each optimizer has a space of its own
    }
    return {"type": "object", "properties": domains, "additionalProperties": method["additionalProperties"]}


def _build_metrics() -> Schema:
    """`auto`, one name, a list of names and of one's own, or a mapping from names to options."""
    options = {"anyOf": [_refer_to("MetricOptions"), {"type": "string"}, {"type": "null"}]}
    own = {"type": "object", "additionalProperties": options, "minProperties": 1}
    named = own | {"properties": dict.fromkeys(["auto", *METRICS], options)}
    name = {"enum": ["auto", *METRICS]}
    pass_at_k = {"type": "string", "pattern": r"^\w+@[1-9]\d*$", "description": "Such as `exact@5`: pass at 5."}
    any_name: Schema = {"anyOf": [name, pass_at_k]}
    return {"anyOf": [any_name, {"type": "array", "items": {"anyOf": [any_name, own]}, "minItems": 1}, named]}


def _restrict_to_shipped_metrics() -> Schema:
    """Only a recipe with a mapping or a list of metrics can name one of the user's own elsewhere."""
    has_own = {"properties": {"metrics": {"type": ["object", "array"]}}, "required": ["metrics"]}
    shipped = {"properties": {"metric": {"enum": [*METRICS, None]}}}
    return {"if": has_own, "else": {"properties": {"search": shipped, "verdict": shipped}}}


def _build_domain(choice: Schema, *, accepts_range: bool) -> Schema:
    choices = {"type": "array", "items": choice, "minItems": 1}
    return {"anyOf": [choices, _refer_to("Range")]} if accepts_range else choices


def _refer_to(definition: str) -> Schema:
    return {"$ref": f"#/$defs/{definition}"}


def _replace(schema: Schema, key: str, replacement: Schema) -> None:
    schema["properties"][key] = {"description": schema["properties"][key]["description"]} | replacement


def _accept_old_name(schema: Schema, name: str, old: str) -> None:
    """Accept the name that a key had in an earlier version, in place of its present one."""
    schema["properties"][old] = schema["properties"][name] | {"deprecated": True, "description": f"Now `{name}`."}
    if name in schema["required"]:
        schema["required"].remove(name)
        schema["oneOf"] = [{"required": [name]}, {"required": [old]}]
