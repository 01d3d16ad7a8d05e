"""A first recipe for data that somebody just has: commented, and with sizes and limits that follow the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tuneoff.config.data import get_fields
from tuneoff.data.overview import Overview
from tuneoff.errors import DataError, RecipeError

DEFAULT_MODEL = "smollm2-135m-instruct"
MOST_EXAMPLES = {"train": 1000, "validation": 100, "test": 200}  # of a first comparison; more take longer
MANY = 2  # a split is sampled if it has this many times as much
SCHEMA_LINE = "# yaml-language-server: $schema=recipe.schema.json"


def write_starter(path: Path, text: str, *, force: bool = False) -> None:
    """Write a recipe, but not over another file unless `force` says so.

    Raises:
        RecipeError: the file exists.
    """
    if path.exists() and not force:
        raise RecipeError(f"{path} exists already. Choose another file with --to, or add --force to replace it.")
    path.write_text(text, "utf-8")


def format_starter(overview: Overview, model: Mapping[str, Any], name: str) -> str:
    """Write a recipe for the data of an overview, with comments that say what was found.

    Args:
        model: the options of the model, as in a recipe.

    Raises:
        DataError: the rows are no examples.
    """
    if overview.problem:
        raise DataError(overview.problem)
    return "\n".join(_list_lines(overview, model, name)) + "\n"


def _list_lines(overview: Overview, model: Mapping[str, Any], name: str) -> Iterator[str]:
    yield f"# A first comparison on {_describe(overview)}. To see its size: tuneoff plan {name}.yaml"
    yield f"# To run it: tuneoff compare {name}.yaml. All keys: tuneoff schema, or the recipe's reference."
    yield f"name: {_format(name)}"
    yield f"model: {_format(dict(model))}  # tuneoff methods --model NAME shows what each method trains"
    yield "data:"
    yield from _list_data(overview)
    yield "methods: [base, last-layer, lora, soft-prompt, full]  # tuneoff methods lists them; all stands for every one"
    yield "training:"
    yield "  epochs: 3"
    yield "# A fair comparison searches the learning rate of each method, and trains the best one with new seeds:"
    yield "# search: {configurations: 6}"
    yield "# More seeds show smaller differences; without a search: seeds: [0, 1, 2]"
    yield "# budget: 2h"


def _list_data(overview: Overview) -> Iterator[str]:
    written = overview.options.model_dump(mode="json", exclude_unset=True)
    for file in overview.files[:5]:
        yield f"  # {_make_comment(file)}"
    columns = ", ".join(column.name for column in overview.columns)
    for key, value in written.items():
        if key == "files" and isinstance(value, dict) and set(value) == {"train"}:
            value = value["train"]
        if key not in ("fields", "sizes", "max_tokens", "max_target_tokens"):
            yield f"  {key}: {_format(value)}"
    if "fields" in type(overview.options).model_fields:
        names = get_fields(overview.options)
        fields = names.by_role | ({"group": names.group} if names.group else {})
        yield f"  {f'fields: {_format(fields)}  ' if fields else ''}# the columns are {_make_comment(columns)}"
    for column in overview.group_candidates[:2]:
        yield f"  # {_make_comment(column.name)} has {column.distinct:,} values; if its rows belong together, add"
        yield "  # it to fields as group, so that no group is in two splits"
    if "task" not in written:
        yield f"  # task: {overview.task}  # recognized; it decides the default metrics and prompt"
    if "prompt" not in written and overview.prompt:
        yield f"  # prompt: {_format(overview.prompt)}  # the default; a template with any columns, or chat"
    yield from _list_sizes(overview, written.get("sizes"))
    yield from _list_limits(overview, written)


def _list_sizes(overview: Overview, written: Mapping[str, Any] | None) -> Iterator[str]:
    if written:
        yield f"  sizes: {_format(dict(written))}"
        return
    counts = {name: split.examples for name, split in overview.splits.items()}
    sizes = {name: MOST_EXAMPLES[name] for name, count in counts.items() if count > MANY * MOST_EXAMPLES[name]}
    found = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    if sizes:
        yield f"  sizes: {_format(sizes)}  # of {found}; remove it to use all"
    else:
        yield f"  # examples: {found}"


def _list_limits(overview: Overview, written: Mapping[str, Any]) -> Iterator[str]:
    given = {key: written[key] for key in ("max_tokens", "max_target_tokens") if key in written}
    lengths = overview.lengths
    if given or lengths is None:
        yield from (f"  {key}: {value}" for key, value in given.items())
        return
    longest = f"median {lengths.both.median}, longest {lengths.both.longest:,}"
    yield f"  max_tokens: {lengths.max_tokens}  # prompt and target: {longest}"
    if lengths.max_target_tokens is not None:
        yield f"  max_target_tokens: {lengths.max_target_tokens}  # targets: longest {lengths.target.longest:,}"


def _describe(overview: Overview) -> str:
    rows = sum(overview.rows.values())
    languages = list(dict.fromkeys(side.language for side in overview.sides if side.language))
    return f"{rows:,} rows{' in ' if languages else ''}{' and '.join(languages)}"


def _format(value: Any) -> str:  # Any: what a recipe holds
    """Write a value as YAML on one line."""
    text: str = yaml.dump(
        value, Dumper=_OneLine, default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf")
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _make_comment(text: str) -> str:
    """Keep a text of the data from ending its comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


class _OneLine(yaml.SafeDumper):
    """Writes line breaks inside texts as escapes."""


_OneLine.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if len(text.splitlines()) > 1 or text.endswith("\n") else None
    ),
)
