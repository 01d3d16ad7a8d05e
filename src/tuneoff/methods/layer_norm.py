"""LayerNorm tuning trains only the norms. Source: Zhao et al. 2023, arXiv:2312.11420."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import write_adapter
from tuneoff.methods.subset import Subset, set_data

if TYPE_CHECKING:
    from torch import nn

    from tuneoff.models.language_model import LanguageModel

WRAPPER, LAYER = "base_model.model.", ".ln_tuning_layers"  # parts that peft adds to the names of tensors


@final
class LayerNorm(Subset):
    """Train the scales and biases of every LayerNorm or RMSNorm, including the last one.

    PEFT's benchmark found no gain at a learning rate of 1e-4, so the default is BitFit's. The norms are trained in
    place, since some models read attributes that peft's wrapper hides. The file format is peft's.
    """

    name: ClassVar[str] = "layer-norm"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-4, high=1e-2)}
    learning_rate: Rate = 1e-3

    def select_parameters(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        from tuneoff.models.structure import find_norms

        norms = find_norms(base.base)
        if not norms:
            raise ValueError("the norms of this model have no weights")
        return [parameter for name in norms for parameter in base.base.get_submodule(name).parameters()]

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        from peft import LNTuningConfig

        from tuneoff.models.structure import find_norms

        names = find_norms(tuned.base)
        state = {
            f"{WRAPPER}{name}{LAYER}.{of_tensor}": tensor.detach()
            for name in names
            for of_tensor, tensor in tuned.base.get_submodule(name).named_parameters()
        }
        config = LNTuningConfig(task_type="CAUSAL_LM", target_modules=names, base_model_name_or_path=tuned.known_as)
        write_adapter(state, config, folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        from peft.utils import SAFETENSORS_WEIGHTS_NAME
        from safetensors.torch import load_file

        from tuneoff.models.safe_weights import require_safe_adapter

        require_safe_adapter(folder)
        tuned = self.apply(base)
        for name, tensor in load_file(folder / SAFETENSORS_WEIGHTS_NAME).items():
            set_data(tuned.base.get_parameter(name.removeprefix(WRAPPER).replace(LAYER, "")), tensor)
        return tuned
