"""What all methods share that train some tensors of the network, its own or added ones, and store only these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.row_changes import RowChanges

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
        from safetensors.torch import load_file

        tuned = self.apply(base)
        for name, tensor in load_file(folder / FILE).items():
            set_data(tuned.base.get_parameter(name), tensor)
        return tuned

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        from tuneoff.models.row_changes import RowChanges, replace_owners

        return RowChanges(modules=replace_owners(base.base, tuned.base))


def set_data(parameter: nn.Parameter, tensor: Tensor) -> None:
    """Give a parameter other numbers, and leave those that it had to whoever else uses them.

    Raises:
        ModelError: the shapes differ.
    """
    from tuneoff.errors import ModelError

    if parameter.shape != tensor.shape:
        raise ModelError(f"a tensor has the shape {tuple(tensor.shape)}, and the model's is {tuple(parameter.shape)}")
    parameter.data = tensor.to(parameter)
