"""LayerNorm tuning trains only the norms. Source: Zhao et al. 2023, arXiv:2312.11420, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import PeftAdapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class LayerNorm(PeftAdapter):
    """Train the scales and biases of every LayerNorm or RMSNorm, including the last one.

    PEFT's benchmark found no gain at a learning rate of 1e-4, so the default is BitFit's.
    """

    name: ClassVar[str] = "layer-norm"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-4, high=1e-2)}
    learning_rate: Rate = 1e-3

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from peft import LNTuningConfig

        from tuneoff.models.structure import find_norms

        return LNTuningConfig(task_type="CAUSAL_LM", target_modules=find_norms(base.base))
