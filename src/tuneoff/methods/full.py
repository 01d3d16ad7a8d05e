"""Full fine-tuning trains every weight of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Decay, Method, Rate
from tuneoff.optimizers import FOR_BLOCKS, OptimizerName

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.row_changes import RowChanges


@final
class Full(Method):
    """Train all weights. They are float32 also when the matrix products are computed in bf16.

    Weights in bf16 would lose updates below their resolution (meta-pytorch/torchtune#2254). The learning rate is the
    upper end of tinker-cookbook's formula for models of 125 to 400 M parameters. A model of a billion parameters or
    more needs about 2e-5 (huggingface/trl).
    """

    name: ClassVar[str] = "full"
    starts_as_base: ClassVar[bool] = True
    optimizers: ClassVar[frozenset[OptimizerName]] = FOR_BLOCKS
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-6, high=3e-4), "weight_decay": (0.0, 0.01, 0.1)}
    learning_rate: Rate = 5e-5
    weight_decay: Decay = 0.01

    def apply(self, base: LanguageModel) -> LanguageModel:
        base.requires_grad_(True)
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        tuned.base.save_pretrained(folder)
        tuned.tokenizer.save_pretrained(folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        network = type(base.base).from_pretrained(folder, dtype="auto", use_safetensors=True)
        return base.with_network(network)

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        from tuneoff.models.row_changes import RowChanges, replace_owners

        return RowChanges(modules=replace_owners(base.base, tuned.base))
