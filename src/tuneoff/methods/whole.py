"""What the methods share that may change every weight of the model, and store the whole model."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tuneoff.methods.method import Method

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.row_changes import RowChanges


class Whole(Method, ABC):
    """All weights require a gradient. They are float32 also when the matrix products are computed in bf16."""

    starts_as_base: ClassVar[bool] = True

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
