"""Prompts as text: a template filled with a row, or the messages of a chat, cut until they fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.config.template import Template
from tuneoff.data.example import EXTRA_NAMES, Example, Row
from tuneoff.data.prompt.chat_template import ChatTemplate
from tuneoff.data.prompt.shortening import (
    NothingToCutError,
    Side,
    drop_oldest_turn,
    list_texts,
    replace_texts,
    shorten_texts,
)
from tuneoff.data.prompt.template_size import LONGEST_SECONDS
from tuneoff.data.prompt.text_tokenizer import TextTokenizer
from tuneoff.data.reading.columns import find_column
from tuneoff.errors import DataError, suggest
from tuneoff.system.work_limit import limit_work

CountExcess = Callable[[str], int]  # by how many tokens a prompt is too long


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A prompt as text, in which what a user wrote is protected, see `SpecialText`."""

    prompt: str
    messages: tuple[Row, ...] = ()  # that a chat template wrote as the prompt; empty: no chat template
    tools: Any = None  # JSON schemas, or None
    cut: tuple[str, ...] = ()  # what lost a part: columns, or "messages"


@dataclass(frozen=True, kw_only=True)
class RowPrompts:
    """Prompts that a template writes from the columns of a row.

    Args:
        chat: a chat template around it, with the text as the user's message; None: the text is the prompt.
    """

    template: Template
    tokenizer: TextTokenizer
    chat: ChatTemplate | None
    side: Side
    never_cut: tuple[str, ...]

    def write(self, example: Example) -> Draft:
        """Write the prompt of an example."""
        return self._write(self._get_values(example))

    def shorten(self, example: Example, count_excess: CountExcess) -> Draft:
        """Write the prompt of an example, cut until it fits."""
        values = self._get_values(example)
        texts = {
            name: value
            for name, value in values.items()
            if isinstance(value, str) and name in self.template.names and name not in self.never_cut
        }
        shortened = shorten_texts(
            texts,
            self.side,
            lambda part: count_excess(self._write({**values, **part}).prompt),
            self.tokenizer.find_token_ends,
        )
        return self._write({**values, **shortened}, tuple(n for n, text in texts.items() if shortened[n] != text))

    def require_columns(self, columns: Sequence[str], place: str) -> None:
        """
        Raises:
            DataError: the template uses a name that is not a column, or shows the name of a column and not its value.
        """
        known = list(dict.fromkeys((*columns, *EXTRA_NAMES)))
        for name in sorted(self.template.names.difference(known)):
            raise DataError(
                f"The prompt uses {name!r}, which is no column of {place}.{suggest(name, known)} To show the braces "
                "themselves, write {% raw %}{" + name + "}{% endraw %}."
            )
        for text in sorted(self.template.braces):
            if column := find_column(text, known, place):
                raise DataError(_explain_braces(text, ".".join((column.name, *column.path))))

    def _get_values(self, example: Example) -> dict[str, Any]:
        values = {**example.columns, "source": example.source, "messages": list(example.messages[:-1])}
        used = {name: values[name] for name in sorted(self.template.names) if name in values}
        protected: dict[str, Any] = self.tokenizer.special.protect(used)
        return protected

    def _write(self, values: Mapping[str, Any], cut: tuple[str, ...] = ()) -> Draft:
        try:
            with limit_work(LONGEST_SECONDS):
                text = self.template.render(values)
        except (ValueError, TimeoutError) as error:
            row = json.dumps(values, ensure_ascii=False, default=str)
            raise DataError(f"The prompt cannot be written for the row {row:.200}: {error}.") from error
        if self.chat is None:
            return Draft(prompt=text, cut=cut)
        message = {"role": "user", "content": text}
        return Draft(prompt=self.chat.render([message], opens_answer=True), messages=(message,), cut=cut)


@dataclass(frozen=True, kw_only=True)
class ChatPrompts:
    """Prompts that a chat template writes from all messages before the last answer."""

    tokenizer: TextTokenizer
    chat: ChatTemplate
    side: Side

    def write(self, example: Example) -> Draft:
        """Write the prompt of a chat."""
        return self._write(self._get_messages(example), self._get_tools(example))

    def shorten(self, example: Example, count_excess: CountExcess) -> Draft:
        """Write the prompt of a chat without its oldest turns, and with its longest message cut if that is not enough.

        System messages and tools are complete.
        """
        messages, tools = self._get_messages(example), self._get_tools(example)
        draft = self._write(messages, tools, ("messages",))
        while count_excess(draft.prompt) > 0:
            remaining = drop_oldest_turn(messages)
            if remaining is None:
                break
            messages = remaining
            draft = self._write(messages, tools, ("messages",))
        texts = shorten_texts(
            list_texts(messages),
            self.side,
            lambda part: count_excess(self._write(replace_texts(messages, part), tools).prompt),
            self.tokenizer.find_token_ends,
        )
        return self._write(replace_texts(messages, texts), tools, ("messages",))

    def _get_messages(self, example: Example) -> list[Row]:
        messages: list[Row] = self.tokenizer.special.protect(list(example.messages[:-1]))
        return messages

    def _get_tools(self, example: Example) -> Any:
        tools = example.columns.get("tools") or None
        try:
            return self.tokenizer.special.protect(json.loads(tools) if isinstance(tools, str) else tools)
        except json.JSONDecodeError as error:
            raise DataError(f"The column tools is no JSON: {error}: {tools!r:.100}.") from error

    def _write(self, messages: Sequence[Row], tools: Any, cut: tuple[str, ...] = ()) -> Draft:
        prompt = self.chat.render(messages, tools, opens_answer=True)
        return Draft(prompt=prompt, messages=tuple(messages), tools=tools, cut=cut)


def _explain_braces(text: str, name: str) -> str:
    cure = f"Write {{{{ {name} }}}}"
    if not name.replace(".", "_").isidentifier():
        cure = "Its name cannot stand in a template: rename the column, or make it the source and write {source}"
    return f"The prompt shows the text '{{{text}}}' and not the column {name!r}. {cure}."


def write_fitting(
    prompts: RowPrompts | ChatPrompts, example: Example, count_excess: CountExcess, max_tokens: int
) -> Draft:
    """Write a prompt again that is too long, cut until it fits.

    Raises:
        DataError: it is too long with nothing of what may be cut.
    """
    try:
        return prompts.shorten(example, count_excess)
    except NothingToCutError:
        raise DataError(
            f"max length too small: a prompt may have {max_tokens} tokens, and one has more even without everything "
            f"that may be cut: {example.source!r:.200}. Raise max_tokens, lower max_target_tokens, or shorten the "
            "template, the system message or what never_cut names."
        ) from None
