"""The contract of a method: from a base model to one whose trainable parameters are exactly what it tunes.

The loop, the meter and the report know a method by these verbs alone. A new one is a file beside this one and
an entry in the table of `tuneoff.methods`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.config.search_space import Space

if TYPE_CHECKING:
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


Rate = Annotated[
    float, Field(gt=0, allow_inf_nan=False, description="AdamW's learning rate, after warm-up and before any decay.")
]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False, description="AdamW's decoupled weight decay.")]


class Method(Options, ABC):
    """One way to tune, with its hyper-parameters as fields; their defaults and sources stand in each method."""

    name: ClassVar[str]
    starts_as_base: ClassVar[bool]  # promises the base model's logits before its first step
    depends_on_seed: ClassVar[bool] = True
    space: ClassVar[Space]  # what a search varies unless the recipe says otherwise; empty: nothing

    learning_rate: Rate
    weight_decay: Decay = 0.0

    @abstractmethod
    def apply(self, base: LanguageModel) -> LanguageModel:
        """The base model made ready to train: what requires a gradient is exactly what this method tunes.

        The base model is used up. Random initialisation draws from torch's default generator, which the
        caller has seeded.
        """

    @abstractmethod
    def save(self, tuned: LanguageModel, folder: Path) -> None:
        """Write what this method trained into `folder`: PEFT's format for adapters, else transformers'."""

    @abstractmethod
    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        """What `save` wrote, on a fresh base model, ready for inference."""

    def parameter_groups(self, tuned: LanguageModel) -> list[tuple[float, list[nn.Parameter]]]:
        """The trained parameters in groups, each with the multiple of the learning rate that it is trained with."""
        return [(1.0, [p for p in tuned.parameters() if p.requires_grad])]

    @property
    def context_tokens(self) -> int:
        """How many positions of the model's context the method takes away from the text."""
        return 0

    def merge(self, tuned: LanguageModel) -> LanguageModel:
        """The model as it would be served; with nothing to merge, as it is."""
        return tuned
