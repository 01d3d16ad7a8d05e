"""The base model with a better written prompt, since that may be all that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from tuneoff.methods.untrained import Untrained

if TYPE_CHECKING:
    from tuneoff.config.data import DataOptions
    from tuneoff.data.other_prompts import PromptWriter
    from tuneoff.methods.method import GetText


@final
class BasePrompt(Untrained):
    """Train nothing, and ask the base model with a prompt of your own in place of the recipe's."""

    name: ClassVar[str] = "base-prompt"
    changes_prompts: ClassVar[bool] = True
    prompt: str = Field("{source}\n\nIn short:", min_length=1)
    """The prompt, as `data.prompt`: a template over the columns of the data, or `chat`."""
    chat_instruction: str | None = None
    """With `prompt: chat`, the user's message, as `data.chat_instruction`; null takes the recipe's."""

    def make_prompts(self, options: DataOptions, tokenizer: Any, get_text: GetText, seed: int) -> PromptWriter:
        from tuneoff.data.other_prompts import RewrittenPrompts

        return RewrittenPrompts(options, tokenizer, self.prompt, self.chat_instruction)
