"""What each method trains on a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.config.model import ModelOptions
from tuneoff.errors import RecipeError
from tuneoff.methods import METHODS, Method

if TYPE_CHECKING:
    from tuneoff.models.parameters import ParameterGroup


@dataclass(frozen=True, kw_only=True)
class InspectedMethod:
    """What a method trains in a model, module by module; or why it does not fit."""

    label: str
    method: Method | None = None
    groups: tuple[ParameterGroup, ...] = ()
    trainable: int = 0
    total: int = 0
    refused: str = ""


def inspect_methods(
    model: str | ModelOptions, which: Mapping[str, Method] | None = None
) -> tuple[InspectedMethod, ...]:
    """What each method trains in `model`, from its shape alone: every method with its defaults unless given.

    Raises:
        RecipeError: a method that is given does not fit the model.
    """
    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.parameters import count_parameters, group_trainable
    from tuneoff.models.sources import find_source
    from tuneoff.runner.prepare import fit_methods

    options = ModelOptions(name=model) if isinstance(model, str) else model
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)

    def trains(label: str, method: Method) -> InspectedMethod:
        ((_, tuned),) = fit_methods({label: method}, options, source, tokenizer)
        trainable, total = count_parameters(tuned)
        return InspectedMethod(
            label=label, method=method, groups=group_trainable(tuned), trainable=trainable, total=total
        )

    def of_the_table(name: str) -> InspectedMethod:
        try:
            return trains(name, METHODS[name].read({}, where=f"methods.{name}"))
        except RecipeError as error:
            return InspectedMethod(label=name, refused=str(error.__cause__ or error))

    return tuple(trains(*one) for one in which.items()) if which else tuple(map(of_the_table, METHODS))
