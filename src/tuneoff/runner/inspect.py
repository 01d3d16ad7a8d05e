"""List what each method trains in a model."""

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
    """The parameters that a method trains in a model, by module; or why it cannot be applied."""

    label: str
    method: Method | None = None
    groups: tuple[ParameterGroup, ...] = ()
    trainable: int = 0
    total: int = 0
    refused: str = ""
    warnings: tuple[str, ...] = ()  # kinds of weights and blocks in which it trains nothing


def inspect_methods(
    model: str | ModelOptions, methods: Mapping[str, Method] | None = None
) -> tuple[InspectedMethod, ...]:
    """Return what each method trains in a model. Only the model's shape is read, no weights.

    Args:
        model: a name or path, or a recipe's model options.
        methods: by label; every method of the package with its defaults unless given.

    Raises:
        ModelError: the model cannot be used.
    """
    from tuneoff.models.coverage import describe_untouched
    from tuneoff.models.loading import build_empty_model, load_model, load_tokenizer
    from tuneoff.models.parameters import count_parameters, group_trainable
    from tuneoff.models.sources import find_source
    from tuneoff.runner.fit import MisfitError, apply_to_shape

    options = ModelOptions(name=model) if isinstance(model, str) else model
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)

    def inspect(label: str, method: Method) -> InspectedMethod:
        try:
            tuned = apply_to_shape(
                method,
                build=lambda: build_empty_model(source, options, tokenizer),
                load=lambda: load_model(source, options, tokenizer),
            )
        except MisfitError as misfit:
            return InspectedMethod(label=label, refused=f"does not fit: {misfit}")
        trainable, total = count_parameters(tuned)
        return InspectedMethod(
            label=label,
            method=method,
            groups=group_trainable(tuned),
            trainable=trainable,
            total=total,
            warnings=describe_untouched(tuned, build_empty_model(source, options, tokenizer)),
        )

    def inspect_default(name: str) -> InspectedMethod:
        try:
            return inspect(name, METHODS[name].read({}, where=f"methods.{name}"))
        except RecipeError as error:  # a method that needs a hyperparameter
            return InspectedMethod(label=name, refused=str(error))

    if methods:
        return tuple(inspect(label, method) for label, method in methods.items())
    return tuple(inspect_default(name) for name in METHODS)
