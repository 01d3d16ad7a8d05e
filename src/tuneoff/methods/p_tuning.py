"""P-tuning: a soft prompt computed by a small network. Source: Liu et al. 2021, arXiv:2103.10385, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from tuneoff.config.limits import LARGEST_RANK, MOST_POSITIONS
from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import PeftAdapter, describe_shape

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class PTuning(PeftAdapter):
    """Train `tokens` vectors and an MLP that maps them to the soft prompt. Only the MLP's output is stored.

    Far more parameters are trained than stored; the report shows both numbers.
    """

    name: ClassVar[str] = "p-tuning"
    starts_as_base: ClassVar[bool] = False
    space: ClassVar[Space] = {
        "learning_rate": Range(low=1e-4, high=1e-2),
        "tokens": (5, 12, 20, 50),
        "width": (128, 512),
    }
    learning_rate: Rate = 1e-3
    tokens: int = Field(20, ge=1, le=MOST_POSITIONS)
    """Learned vectors before the text."""
    width: int = Field(128, ge=1, le=LARGEST_RANK)
    """Hidden width of the MLP."""

    @property
    def context_tokens(self) -> int:
        return self.tokens

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from peft import PromptEncoderConfig

        return PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.tokens,
            encoder_hidden_size=self.width,
            **describe_shape(base),
        )
