"""LoRA: low-rank updates beside frozen weights. Source: Hu et al. 2021, arXiv:2106.09685, through peft."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from pydantic import Field

from tuneoff.methods.base import Method, Rate
from tuneoff.methods.space import Range, Space

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


@final
class LoRA(Method):
    """Low-rank updates, zero at first, that merge into the weights they adapt.

    About ten times full tuning's rate is best at any rank, and all linear layers beat attention alone
    (Schulman et al. 2025, "LoRA Without Regret"). A small model wants 5e-4, a large one 2e-4.
    """

    name: ClassVar[str] = "lora"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {
        "learning_rate": Range(low=2e-5, high=3e-3),
        "rank": (4, 8, 16, 32),
        "alpha": (16.0, 32.0, 64.0),
        "dropout": (0.0, 0.05, 0.1),
        "modules": ("attention", "all-linear"),
    }
    learning_rate: Rate = 5e-4
    rank: int = Field(8, ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    # peft's own default for the architecture, the attention's linear layers, every linear layer but the head,
    # or the modules whose names end so
    modules: Literal["default", "attention", "all-linear"] | tuple[str, ...] = "all-linear"

    def apply(self, base: LanguageModel) -> LanguageModel:
        from peft import LoraConfig

        return base.with_adapter(
            LoraConfig(
                task_type="CAUSAL_LM",
                r=self.rank,
                lora_alpha=self.alpha,
                lora_dropout=self.dropout,
                target_modules=self._targets(base),
            )
        )

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        tuned.save_adapter(folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        return base.load_adapter(folder)

    def merged(self, tuned: LanguageModel) -> LanguageModel:
        return tuned.with_adapter_merged()

    def _targets(self, base: LanguageModel) -> Any:  # Any: peft takes None, a word or a list
        match self.modules:
            case "default":
                return None
            case "attention":
                return base.attention_linears()
            case "all-linear":
                return "all-linear"
            case names:
                return list(names)
