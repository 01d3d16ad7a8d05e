"""The pages of docs/reference/ that are made from the program: commands, recipe and methods.

Run `python -m scripts.reference` after a change of any of them. A test compares the pages with what this module makes.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tuneoff.cli import app
from tuneoff.config.search_space import Range
from tuneoff.methods import METHODS, Method
from tuneoff.optimizers import OPTIMIZERS, Optimizer
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.schema import add_metric_names

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
EXIT_CODES = """| exit code | meaning |
| ---: | --- |
| 0 | done |
| 1 | some trials failed; their reasons are on the page |
| 2 | bad input |
| 3 | the budget ended before everything was done |
| 129, 130, 138, 143 | stopped by a closed terminal, Ctrl-C, SIGUSR1 or SIGTERM; the same command resumes |
"""


def write_commands() -> str:
    """Every command's `--help`."""
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    help_of = {name: _print_help(name) for name in names}
    sections = [f"## tuneoff {name}\n\n```text\n{text}\n```\n" for name, text in help_of.items()]
    return "\n".join([f"# Commands\n\n{EXIT_CODES}\n## tuneoff\n\n```text\n{_print_help()}\n```\n", *sections])


def _print_help(*command: str) -> str:
    return CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "100"}).output.strip()


def write_methods() -> str:
    """Every method of the table: what it does, its hyperparameters with their defaults, and what a search varies."""
    intro = (
        "# Methods\n\nGenerated from the table in `src/tuneoff/methods/`. `tuneoff methods --model NAME` shows what "
        "each of them trains on a model.\n"
    )
    optimizers = (
        "# Optimizers\n\nThe key `optimizer` of a method. Generated from the table in `src/tuneoff/optimizers/`.\n"
    )
    return "\n".join(
        [
            intro,
            *(_describe_method(method) for method in METHODS.values()),
            optimizers,
            *(_describe_optimizer(optimizer) for optimizer in OPTIMIZERS.values()),
        ]
    )


def _describe_optimizer(optimizer: Optimizer) -> str:
    taken_by = [
        f"`{name}`" for name, method in METHODS.items() if optimizer.name in method.optimizers and method.trains
    ]
    scale = [f"the default `{name}` and its range times {multiple:g}" for name, multiple in optimizer.scale.items()]
    facts = [
        *(["Needs `pip install 'tuneoff[optimizers]'`."] if optimizer.package else []),
        *([f"It has {' and '.join(scale)}."] if scale else []),
        f"For {'every method that trains' if optimizer.name == 'adamw' else ', '.join(taken_by)}.",
    ]
    source = inspect.getdoc(sys.modules[type(optimizer).__module__])
    return f"## {optimizer.name}\n\n{source}\n\n{inspect.getdoc(type(optimizer))}\n\n{' '.join(facts)}\n"


def _describe_method(method: type[Method]) -> str:
    source = inspect.getdoc(sys.modules[method.__module__]) or ""
    rows = [
        f"| `{name}` | {_format_default(field)} | {_escape(field.description or '')} |"
        for name, field in method.model_fields.items()
        if name != "optimizer" or len(method.optimizers) > 1
    ]
    space = [f"- `{name}`: {_format_domain(values)}" for name, values in method.space.items()]
    parts = [
        f"## {method.name}\n",
        f"{source}\n",
        f"{inspect.getdoc(method)}\n",
        "\n".join(["| hyperparameter | default | |", "| --- | --- | --- |", *rows]) + "\n",
    ]
    if space:
        parts.append("A search varies:\n\n" + "\n".join(space) + "\n")
    return "\n".join(parts)


def _format_default(field: Any) -> str:  # Any: pydantic's FieldInfo
    return "required" if field.is_required() else f"`{field.get_default(call_default_factory=False)!r}`"


def _format_domain(values: Any) -> str:  # Any: a range or choices
    if isinstance(values, Range):
        return f"{values.low:g} to {values.high:g}, logarithmic"
    return ", ".join(map(str, values))


def write_recipe() -> str:
    """Every key of a recipe, from its JSON schema."""
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    add_metric_names(definitions)
    intro = (
        "# Recipe\n\nEvery key of a recipe, generated from its types. Editors complete and check recipes with the JSON "
        "schema that `tuneoff schema` prints. The package has it as `tuneoff/recipe/recipe.schema.json`.\n"
    )
    sections = [_describe_keys("Recipe", schema), *(_describe_keys(name, part) for name, part in definitions.items())]
    return "\n".join([intro, *(section for section in sections if section)])


def _describe_keys(name: str, schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return ""
    required = set(schema.get("required", ()))
    rows = [
        f"| `{key}` | {_escape(_format_type(value))} | {_format_schema_default(value, key in required)} "
        f"| {_escape(value.get('description', ''))} |"
        for key, value in schema["properties"].items()
    ]
    summary = (schema.get("description") or "").split("\n\n")[0].replace("\n", " ")
    return "\n".join(
        [f"## {name}\n", f"{summary}\n", "| key | type | default | |", "| --- | --- | --- | --- |", *rows, ""]
    )


def _format_type(value: Mapping[str, Any]) -> str:
    """A type as a reader would say it; a reference is a link to its section."""
    if "$ref" in value:
        return _format_reference(value["$ref"])
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in value:
            return " or ".join(dict.fromkeys(_format_type(part) for part in value[several]))
    if value.get("type") == "array":
        return f"list of {_format_type(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), Mapping):
        return f"mapping to {_format_type(value['additionalProperties'])}"
    return str(value.get("type", "any"))


def _format_reference(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


def _format_schema_default(value: Mapping[str, Any], is_required: bool) -> str:
    if is_required:
        return "required"
    default = value.get("default")
    return "" if "default" not in value or isinstance(default, dict) else f"`{json.dumps(default)}`"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {"commands.md": write_commands, "methods.md": write_methods, "recipe.md": write_recipe}


def write_pages() -> Iterator[Path]:
    """Write every page; the paths."""
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
        yield FOLDER / name


if __name__ == "__main__":
    for page in write_pages():
        print(page)
