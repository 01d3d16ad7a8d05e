"""What the methods share that train nothing: the base model alone, and other ways to ask it."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tuneoff.config.search_space import Space
from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.row_changes import RowChanges


class Untrained(Method, ABC):
    """The base model as it is."""

    starts_as_base: ClassVar[bool] = True
    depends_on_seed: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    space: ClassVar[Space] = {}
    learning_rate: Literal[0] = 0
    """Always 0: nothing is trained."""
    optimizer: Literal["adamw"] = Field("adamw", exclude=True)
    """Nothing is updated."""
    weight_decay: Literal[0] = 0
    """Always 0: nothing is trained."""

    def apply(self, base: LanguageModel) -> LanguageModel:
        base.requires_grad_(False)
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        """Write nothing, since nothing was trained."""

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        return base

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        from tuneoff.models.row_changes import RowChanges

        return RowChanges()
