"""A sweep: one parameter takes several values, and all else is equal."""

from typing import Any, Self

from pydantic import AliasChoices, Field, model_validator

from tuneoff.config.base import Options


class SweepOptions(Options):
    """A parameter by its dotted place in the recipe, such as `methods.lora.rank` or `data.sizes.train`."""

    parameter: str = Field(validation_alias=AliasChoices("parameter", "knob"))  # knob: its name before 0.2
    values: tuple[Any, ...] = Field(min_length=2)  # Any: the knob's own place says what each may be

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if any(value in self.values[:i] for i, value in enumerate(self.values)):
            raise ValueError("the same value twice would be the same point: write different values")
        return self
