"""Last-layer tuning: only the output head is trained, the body stays frozen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.methods.base import Decay, Method, Rate
from tuneoff.methods.space import Range, Space

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


@final
class LastLayer(Method):
    """Train the output head alone.

    In most small models the head *is* the input table. Unless `tied` asks for it, the head first gets a copy of
    its own: otherwise the method would quietly train both ends of the model.
    The rate lies between full tuning's and BitFit's; no published source is solid.
    """

    name: ClassVar[str] = "last-layer"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-5, high=3e-3)}
    learning_rate: Rate = 2e-4
    weight_decay: Decay = 0.0
    tied: bool = False  # True: where the model ties its head to the input embedding, train both as one

    def apply(self, base: LanguageModel) -> LanguageModel:
        base.requires_grad_(False)
        if not self.tied:
            base.untie_head()
        base.head.requires_grad_(True)
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        tuned.save_head(folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        if not self.tied:
            base.untie_head()
        base.load_head(folder)
        return base
