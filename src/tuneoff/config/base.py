"""The base class of everything that a user can write in a recipe: frozen, typed, and strict about keys."""

import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Self, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tuneoff.errors import RecipeError, suggest


class Options(BaseModel):
    """A frozen value with typed fields. An unknown key is an error that suggests the nearest known key.

    The docstring under a field is its description in the JSON schema (`tuneoff.recipe.schema`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Build the options from a user's mapping.

        Args:
            values: what the user wrote; fields that are missing take their defaults.
            where: the dotted path of the mapping in the recipe, for error messages.

        Raises:
            RecipeError: a key is unknown or a value does not fit. The message lists every problem with its path.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise RecipeError("\n".join(_format_problems(cls, error, where))) from None


def _format_problems(options: type[BaseModel], error: ValidationError, where: str) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        steps = _drop_tags(options, problem["loc"], keep_last=problem["type"] in {"extra_forbidden", "missing"})
        path = ".".join(filter(None, [where, *(str(step) for step in steps if not _is_internal(step))]))
        match problem["type"]:
            case "extra_forbidden":
                known = _list_fields_at(options, problem["loc"][:-1])
                yield f"Unknown key {path!r}.{suggest(str(problem['loc'][-1]), known)}"
            case "missing":
                yield f"Missing key {path!r}."
            case "value_error" if isinstance(problem["ctx"]["error"], RecipeError):
                yield str(problem["ctx"]["error"])  # a complete message already
            case "union_tag_invalid":
                known = re.findall(r"'([^']*)'", problem["ctx"]["expected_tags"])
                key, tag = f"{path}.{_get_discriminator(problem)}", problem["ctx"]["tag"]
                yield f"{key} is {tag!r}, which is not supported.{suggest(tag, known)}"
            case "union_tag_not_found":
                discriminator = _get_discriminator(problem)
                fields = [model.model_fields[discriminator] for model in _list_candidates_at(options, problem["loc"])]
                known = [tag for field in fields for tag in get_args(field.annotation)]
                yield f"Missing key '{path}.{discriminator}'. Available: {', '.join(known)}."
            case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
                yield f"{path} must be a mapping of keys to values (got {reprlib.repr(problem['input'])})."
            case "default_factory_not_called":
                continue  # a consequence of another problem
            case "value_error":
                yield f"{path + ': ' if path else ''}{problem['ctx']['error']}."
            case _:
                yield f"{path}: {problem['msg']} (got {reprlib.repr(problem['input'])})."


def _get_discriminator(problem: ErrorDetails) -> str:
    """Return the key that selects the member of a union. Pydantic gives it in quotes."""
    return str(problem["ctx"]["discriminator"]).strip("'")


def _is_internal(step: int | str) -> bool:
    """Return whether a step of a path is pydantic's name for a member of a union, which no user wrote."""
    return isinstance(step, str) and ("[" in step or step in {"Range", "tuple"})


def _drop_tags(options: type[BaseModel], path: tuple[int | str, ...], *, keep_last: bool) -> list[int | str]:
    """Return the path without the tags that pydantic adds for the members of a union, which no user wrote."""
    end = len(path) - keep_last
    return [
        step
        for i, step in enumerate(path)
        if i >= end or not any(step in _list_tags(candidate) for candidate in _list_candidates_at(options, path[:i]))
    ]


def _list_fields_at(options: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """List the field names of the model that `path` leads to."""
    return sorted({name for candidate in _list_candidates_at(options, path) for name in candidate.model_fields})


def _list_candidates_at(options: type[BaseModel], path: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """List the models that `path` may lead to. The tag of a union in the path selects its member."""
    candidates: list[type[BaseModel]] = [options]
    for step in path:
        inner = [
            model
            for candidate in candidates
            for name, field in candidate.model_fields.items()
            if step in _list_names(name, field)
            for model in _list_models_in(field.annotation)
        ]
        tagged = [candidate for candidate in candidates if step in _list_tags(candidate)]
        candidates = inner or tagged or candidates
    return candidates


def _list_names(name: str, field: FieldInfo) -> list[object]:
    """List the keys that a user may write for a field: its name, and its names in earlier versions."""
    alias = field.validation_alias
    return [name, *(alias.choices if isinstance(alias, AliasChoices) else [])]


def _list_models_in(annotation: Any) -> list[type[BaseModel]]:  # Any: annotations have no common type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _list_models_in(part)]


def _list_tags(model: type[BaseModel]) -> set[object]:
    return {value for field in model.model_fields.values() for value in get_args(field.annotation)}
