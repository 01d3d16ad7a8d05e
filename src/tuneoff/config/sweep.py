"""A sweep: one parameter takes several values while everything else stays equal."""

from typing import Any, Self

from pydantic import AliasChoices, Field, model_validator

from tuneoff.config.base import Options


class SweepOptions(Options):
    """One parameter of the recipe and the values that it takes."""

    parameter: str = Field(validation_alias=AliasChoices("parameter", "knob"))  # knob: its name before 0.2
    """The dotted path of the parameter in the recipe, such as `methods.lora.rank` or `data.sizes.train`."""
    values: tuple[Any, ...] = Field(min_length=2)  # Any: the parameter's own field checks each value
    """At least two different values."""

    @model_validator(mode="after")
    def _require_different_values(self) -> Self:
        if any(value in self.values[:i] for i, value in enumerate(self.values)):
            raise ValueError("the sweep has the same value twice: write different values")
        return self
