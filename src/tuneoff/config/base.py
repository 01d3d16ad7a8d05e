"""The base of every value that a user may write in a recipe: frozen, typed, and strict about keys."""

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from tuneoff.errors import RecipeError, suggest


class Options(BaseModel):
    """A frozen value with typed fields; an unknown key is refused with the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, written: Mapping[str, Any], where: str = "") -> Self:
        """The value that a user's mapping describes.

        Args:
            written: what the user wrote, the difference from the defaults only.
            where: the dotted place of the mapping in the recipe, for the message.

        Raises:
            RecipeError: a key is unknown or a value does not fit; every problem is named with its place.
        """
        try:
            return cls.model_validate(written)
        except ValidationError as error:
            raise RecipeError("\n".join(_problems(cls, error, where))) from None


def _problems(options: type[BaseModel], error: ValidationError, where: str) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        place = ".".join(filter(None, [where, *(str(step) for step in problem["loc"] if not _is_internal(step))]))
        match problem["type"]:
            case "extra_forbidden":
                known = _fields_at(options, problem["loc"][:-1])
                yield f"Unknown key {place!r}.{suggest(str(problem['loc'][-1]), known)}"
            case "missing":
                yield f"Missing key {place!r}."
            case "value_error" if isinstance(problem["ctx"]["error"], RecipeError):
                yield str(problem["ctx"]["error"])  # said in full where it was found
            case "default_factory_not_called":
                continue  # it follows from another
            case "value_error":
                yield f"{place + ': ' if place else ''}{problem['ctx']['error']}."
            case _:
                yield f"{place}: {problem['msg']} (got {reprlib.repr(problem['input'])})."


def _is_internal(step: int | str) -> bool:
    """Whether a place is pydantic's name for a member of a union, and nothing that a user wrote."""
    return isinstance(step, str) and ("[" in step or step in {"Range", "tuple"})


def _fields_at(options: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The field names of the model that `path` leads to; a union's tag in the path selects its member."""
    candidates: list[type[BaseModel]] = [options]
    for step in path:
        inner = [
            m for c in candidates if step in c.model_fields for m in _models_in(c.model_fields[str(step)].annotation)
        ]
        tagged = [c for c in candidates if step in _tags(c)]
        candidates = inner or tagged or candidates
    return sorted({name for c in candidates for name in c.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # Any: annotations have no common type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _tags(model: type[BaseModel]) -> set[object]:
    return {value for field in model.model_fields.values() for value in get_args(field.annotation)}
