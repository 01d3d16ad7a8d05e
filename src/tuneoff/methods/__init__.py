"""The table of methods. A new method is one file and one entry here."""

from collections.abc import Mapping
from typing import Any

from tuneoff.errors import RecipeError, nearest
from tuneoff.methods.base import Method
from tuneoff.methods.full import Full
from tuneoff.methods.last_layer import LastLayer
from tuneoff.methods.lora import LoRA
from tuneoff.methods.soft_prompt import SoftPrompt
from tuneoff.methods.untouched import Untouched

METHODS: dict[str, type[Method]] = {m.name: m for m in (Untouched, Full, LastLayer, LoRA, SoftPrompt)}


def method_named(name: str) -> type[Method]:
    """The method called `name`, as the tables of a report call it."""
    if name in METHODS:
        return METHODS[name]
    raise RecipeError(f"No method {name!r}.{nearest(name, METHODS)}")


def read_method(label: str, written: Any) -> Method:  # Any: what a user wrote, before it is checked
    """The method that a recipe writes under `label`: named by its `method` key, or by the label itself."""
    if not isinstance(written, Mapping | None):
        raise RecipeError(f"methods.{label} is {written!r}. Write its hyper-parameters, as {{rank: 8}}, or nothing.")
    hyperparameters = dict(written or {})
    name = str(hyperparameters.pop("method", label))
    return method_named(name).read(hyperparameters, where=f"methods.{label}")


__all__ = ["METHODS", "Method", "method_named", "read_method"]
