"""What a tokenizer and a template must have before anything is tokenized."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tuneoff.config.data import TextOptions
from tuneoff.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OWN_TEMPLATE = "prompt: '{source}\\n\\nTL;DR: '"


def require_usable(tokenizer: PreTrainedTokenizerBase, *, chat: bool) -> None:
    """
    Raises:
        DataError: the tokenizer has no fast version, no EOS token, or no chat template though one is wanted.
    """
    name = tokenizer.name_or_path or type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise DataError(
            f"The tokenizer {name} has no fast version, which is needed to find where each token stands in the text. "
            "Use a model with a fast tokenizer."
        )
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"The tokenizer {name} has no EOS token, which must end every target. Set one: tokenizer.eos_token = ..."
        )
    if chat and not tokenizer.chat_template:
        raise DataError(
            f"The tokenizer {name} has no chat template. Use an instruction-tuned model, or a template of your own: "
            f"{_OWN_TEMPLATE}; the messages of a chat are `messages` there"
        )


def require_hidden(shown: Collection[tuple[str, ...]], answers: Collection[tuple[str, ...]]) -> None:
    """
    Args:
        shown: the paths of the values that a template reads: ("meta", "a") is the key "a" of the column "meta".
        answers: the paths of those that hold the answer.

    Raises:
        DataError: a template shows a value that is an answer, holds one or is a part of one.
    """
    for path in sorted(shown):
        if any(path[: len(answer)] == answer[: len(path)] for answer in answers):
            raise DataError(
                f"The prompt shows {'.'.join(path)!r}, which holds the answers, so there would be nothing to learn. "
                "Remove it from the prompt, or name other columns in fields. Of a chat, `messages` are those before "
                "the answer."
            )


def require_fitting(template_tokens: int, options: TextOptions) -> None:
    """
    Raises:
        DataError: the template leaves no tokens for the text.
    """
    limit = options.max_tokens - options.max_target_tokens
    if template_tokens >= limit:
        raise DataError(
            f"max length too small for the template: it takes {template_tokens} tokens by itself, and a "
            f"prompt may have {limit} (max_tokens {options.max_tokens} - max_target_tokens "
            f"{options.max_target_tokens}). Raise max_tokens, lower max_target_tokens or shorten the template."
        )
