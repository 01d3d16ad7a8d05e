"""The base model without any tuning: the reference row of every report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, final

from tuneoff.config.search_space import Space
from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


@final
class Base(Method):
    """Train nothing. The only cost is the evaluation."""

    name: ClassVar[str] = "base"
    starts_as_base: ClassVar[bool] = True
    depends_on_seed: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    space: ClassVar[Space] = {}
    learning_rate: Literal[0] = 0
    """Always 0: the base model is not trained."""
    weight_decay: Literal[0] = 0
    """Always 0: the base model is not trained."""

    def apply(self, base: LanguageModel) -> LanguageModel:
        base.requires_grad_(False)
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        """Write nothing, since nothing was trained."""

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        return base
