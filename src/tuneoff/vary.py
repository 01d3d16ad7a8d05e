"""A study: one knob along its values, and all else equal."""

from typing import Any

from pydantic import Field

from tuneoff.options import Options


class VaryOptions(Options):
    """One knob by its dotted place in the recipe, such as `methods.lora.rank` or `data.sizes.train`."""

    knob: str
    values: tuple[Any, ...] = Field(min_length=2)  # Any: the knob's own place says what each may be
