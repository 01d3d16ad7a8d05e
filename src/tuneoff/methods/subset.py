"""What all methods share that train some tensors of the network, its own or added ones, and store only these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from torch import nn

    from tuneoff.models.language_model import LanguageModel

FILE = "trained.safetensors"


class Subset(Method, ABC):
    """Train some of the network's tensors and freeze the others."""

    @abstractmethod
    def select_parameters(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        """Return the tensors to train. A method that adds tensors adds them here.

        Raises:
            ValueError: the model has no such tensors.
        """

    def apply(self, base: LanguageModel) -> LanguageModel:
        base.requires_grad_(False)
        for parameter in self.select_parameters(base):
            parameter.requires_grad_(True)
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: p.detach() for name, p in tuned.base.named_parameters() if p.requires_grad}
        save_file({name: tensor.contiguous() for name, tensor in trained.items()}, folder / FILE)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        import torch
        from safetensors.torch import load_file

        tuned = self.apply(base)
        parameters = dict(tuned.base.named_parameters())
        with torch.no_grad():
            for name, tensor in load_file(folder / FILE).items():
                parameters[name].copy_(tensor)
        return tuned
