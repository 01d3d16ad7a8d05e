"""Soft prompt: learned vectors before the text. Source: Lester et al. 2021, arXiv:2104.08691, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from pydantic import Field

from tuneoff.config.limits import MOST_POSITIONS
from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import PeftAdapter, describe_shape

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel

INIT_TEXT = "Summarize the following text in one short and clear sentence:"


@final
class SoftPrompt(PeftAdapter):
    """Train the embeddings of `tokens` virtual tokens before the text. The model itself stays frozen.

    Starting from text or from the vocabulary is better than starting at random. The learning rate is the highest of all
    methods: trl documents 1e-2 to 3e-2, the paper used 0.3 with Adafactor. Below a billion parameters, expect worse
    results than with full tuning.
    """

    name: ClassVar[str] = "soft-prompt"
    starts_as_base: ClassVar[bool] = False
    space: ClassVar[Space] = {
        "learning_rate": Range(low=1e-3, high=3e-1),
        "tokens": (5, 12, 20, 50),
        "init": ("text", "vocabulary"),
    }
    learning_rate: Rate = 3e-2
    tokens: int = Field(12, ge=1, le=MOST_POSITIONS)
    """Learned vectors before the text."""
    init: Literal["text", "vocabulary", "random"] = "text"
    """Start as the embeddings of `init_text`, of tokens drawn from the vocabulary, or at random."""
    init_text: str = Field(INIT_TEXT, min_length=1)
    """The text for `init: text`, repeated or cut to `tokens` tokens."""

    @property
    def context_tokens(self) -> int:
        return self.tokens

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from peft import PromptTuningConfig

        initialization: dict[str, Any] = {  # Any: arguments of different types
            "text": {
                "prompt_tuning_init": "TEXT",
                "prompt_tuning_init_text": self.init_text,
                "tokenizer_name_or_path": base.tokenizer.name_or_path,
            },
            "vocabulary": {"prompt_tuning_init": "SAMPLE_VOCAB"},
            "random": {"prompt_tuning_init": "RANDOM"},
        }[self.init]
        return PromptTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=self.tokens, **initialization, **describe_shape(base)
        )
