"""IA3: keys, values and hidden units rescaled. Source: Liu et al. 2022, arXiv:2205.05638, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import PeftAdapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class IA3(PeftAdapter):
    """One factor for each output of a few projections, all one at first; merges into them.

    In PEFT's benchmark flat between 2e-3 and 5e-3, and far worse at 1e-4. Which projections is peft's choice for
    the architecture.
    """

    name: ClassVar[str] = "ia3"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=5e-4, high=2e-2)}
    learning_rate: Rate = 3e-3

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from peft import IA3Config

        return IA3Config(task_type="CAUSAL_LM")
