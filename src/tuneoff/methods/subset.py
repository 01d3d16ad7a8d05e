"""What every method shares that trains some tensors of the network, its own or added ones, and keeps just these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


class Subset(Method, ABC):
    """Some of the network's tensors are trained, the others frozen."""

    @abstractmethod
    def parts(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        """The tensors to train; a method that adds some adds them here.

        Raises:
            ValueError: this model has none.
        """

    def apply(self, base: LanguageModel) -> LanguageModel:
        base.requires_grad_(False)
        for parameter in self.parts(base):
            parameter.requires_grad_(True)
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        tuned.save_trained(folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        tuned = self.apply(base)
        tuned.load_trained(folder)
        return tuned
