"""Prefix tuning: learned keys and values before the text. Source: Li and Liang 2021, arXiv:2101.00190."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Method, Rate
from tuneoff.methods.soft_prompt import INIT_TEXT

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


@final
class Prefix(Method):
    """Train what the attention of each layer sees of `tokens` tokens that stand before the text.

    By default they start as the keys and values of a real text: the paper and PEFT's benchmark train worse and less
    stably from random ones. The attention path is our own (`models.prefix_attention`), so that it works with gradient
    checkpointing, which peft refuses; the file is peft's.
    """

    name: ClassVar[str] = "prefix"
    starts_as_base: ClassVar[bool] = False
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-3, high=5e-2), "tokens": (5, 12, 20, 50)}
    learning_rate: Rate = 5e-3
    tokens: int = Field(12, ge=1)
    """Learned positions before the text, in every layer."""
    init: Literal["text", "random"] = "text"
    """Start as the keys and values of `init_text`, or at random."""
    init_text: str = Field(INIT_TEXT, min_length=1)
    """The text for `init: text`, repeated or cut to `tokens` tokens."""

    @property
    def context_tokens(self) -> int:
        return self.tokens

    def apply(self, base: LanguageModel) -> LanguageModel:
        from tuneoff.models.prefix_attention import attach_prefix, compute_keys_and_values, draw_random_like

        base.requires_grad_(False)
        written = base.tokenizer(self.init_text, add_special_tokens=False)["input_ids"]
        layers = compute_keys_and_values(base.base, (written * self.tokens)[: self.tokens])
        attach_prefix(base.base, layers if self.init == "text" else draw_random_like(layers))
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        from tuneoff.models.prefix_attention import write_prefix

        write_prefix(tuned.base, tuned.known_as, folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        from tuneoff.models.prefix_attention import attach_prefix, read_prefix

        base.requires_grad_(False)
        attach_prefix(base.base, read_prefix(base.base, folder))
        return base
