"""What every method that peft implements shares: its config makes the adapter, peft's format keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


class PeftAdapter(Method, ABC):
    """An adapter of peft's. What is saved is loaded by plain peft as well."""

    @abstractmethod
    def config(self, base: LanguageModel) -> PeftConfig:
        """What peft is told, for this base model."""

    def apply(self, base: LanguageModel) -> LanguageModel:
        return base.with_adapter(self.config(base))

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        tuned.save_adapter(folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        return base.load_adapter(folder)

    def merged(self, tuned: LanguageModel) -> LanguageModel:
        return tuned.with_adapter_merged()
