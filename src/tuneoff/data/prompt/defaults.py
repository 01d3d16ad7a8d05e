"""What a recipe leaves open about its prompts, decided once for a comparison and stored in its setting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from tuneoff.config.data import CHAT, Task, TextOptions
from tuneoff.data.example import Example
from tuneoff.data.prompt.chat_template import writes_date
from tuneoff.data.task import recognize_task
from tuneoff.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Text = TypeVar("Text", bound=TextOptions)

SUMMARIZE = "Summarize the following text in one sentence.\n\n{source}"  # also what earlier versions stored if unused

TEXT_PROMPT = "{source}"  # not used: the text has no prompt
_PROMPTS: dict[Task, str] = {
    "prose": "{source}\n\nTL;DR: ",
    "labels": "{source}\n\nLabel: ",
    "answers": "{source}\n\nAnswer: ",
    "translation": "{source}\n\nTranslation: ",
    "code": "{source}\n\n",
    "numbers": "{source}\n\nAnswer: ",
    "json": "{source}\n\nJSON: ",
    "chat": CHAT,
    "text": TEXT_PROMPT,
}


def complete_options(options: Text, tokenizer: PreTrainedTokenizerBase, task: Task) -> Text:
    """Fill in what decides the prompts: the task, the template, and the date if the chat template writes one.

    Raises:
        DataError: an option has no effect.
    """
    prompt = options.prompt or _PROMPTS[task]
    is_chat = prompt == CHAT
    if not is_chat:
        _require_effect(options)
    chosen: dict[str, Any] = {"prompt": prompt, "task": options.task or task}
    if is_chat and options.chat_instruction is None:
        chosen["chat_instruction"] = SUMMARIZE if task == "prose" else "{source}"
    if is_chat and options.date is None and writes_date(tokenizer):
        chosen["date"] = date.today()
    return options.model_copy(update=chosen)


def choose_kind(options: TextOptions, examples: Sequence[Example]) -> Task:
    """Return what decides the default prompt: the task, but chats are chats whatever their answers are."""
    if any(example.messages for example in examples[:1]):
        return "chat"
    return options.task or recognize_task(examples)


def _require_effect(options: TextOptions) -> None:
    """Refuse keys that only a chat template reads."""
    given = {
        "chat_instruction": options.chat_instruction not in (None, SUMMARIZE),
        "chat_template_kwargs": bool(options.chat_template_kwargs),
        "turns": options.turns != "last",
        "date": options.date is not None,
    }
    if names := [name for name, is_given in given.items() if is_given]:
        raise DataError(
            f"data.{names[0]} has no effect without the chat template. Write prompt: chat, or remove {names[0]}."
        )
