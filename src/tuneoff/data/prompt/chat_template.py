"""The chat template of a tokenizer: how it writes messages, how it ends a turn, and which parts are answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tuneoff.config.data import TextOptions
from tuneoff.data.example import Row
from tuneoff.data.prompt.special_text import SpecialText
from tuneoff.data.prompt.template_size import LONGEST_SECONDS, MOST_CHARACTERS, find_unbounded_operation
from tuneoff.errors import DataError
from tuneoff.system.work_limit import limit_work

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]  # of characters in a rendered text

_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
_CODES = "aAwdbBmyYHIpMSfjUWGuVcxX"  # of `strftime`
_FAILURES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, TimeoutError)
_PROBE = "zqxj"  # an answer that no template contains


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """A chat template with everything that decides what it writes, besides the messages."""

    tokenizer: PreTrainedTokenizerBase
    arguments: Mapping[str, Any]  # the recipe's
    day: date  # that it writes as today's

    @property
    def has_marks(self) -> bool:
        """Whether the template marks the answers itself."""
        return _MARKS.search(self._get_source(None)) is not None

    def render(self, messages: Sequence[Row], tools: Any = None, *, opens_answer: bool = False) -> str:
        """Write messages as text.

        Args:
            tools: JSON schemas of functions, or None.
            opens_answer: whether to end with what stands before an answer.

        Raises:
            DataError: the template refuses the messages.
        """
        return self._render(messages, tools, add_generation_prompt=opens_answer)[0]

    def render_with_answers(self, messages: Sequence[Row], tools: Any = None) -> tuple[str, list[Span]]:
        """Write messages as text, and return the parts that the template marks as answers."""
        return self._render(messages, tools, return_assistant_tokens_mask=True)

    def find_turn_end(self, special: SpecialText) -> str | None:
        """Return the special token that the template writes after an answer, or None if it writes none there."""
        messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _PROBE}]
        _, _, after = self.render(messages).rpartition(_PROBE)
        parts = special.split(after)
        return parts[1] if len(parts) > 1 else None

    def _render(self, messages: Sequence[Row], tools: Any, **options: bool) -> tuple[str, list[Span]]:
        import jinja2
        from transformers.utils.chat_template_utils import render_jinja_template

        present = [{key: value for key, value in message.items() if value is not None} for message in messages]
        try:
            source = self._get_source(tools)
            if unbounded := find_unbounded_operation(source):
                raise ValueError(unbounded)
            with limit_work(LONGEST_SECONDS):
                texts, spans = render_jinja_template(
                    conversations=[present],
                    tools=tools,
                    chat_template=source,
                    **options,
                    **{**self.tokenizer.special_tokens_map, **self.arguments},
                )
            if len(texts[0]) > MOST_CHARACTERS:
                raise ValueError(f"it wrote {len(texts[0]):,} characters, and {MOST_CHARACTERS:,} is the limit here")
        except (*_FAILURES, jinja2.TemplateError) as error:
            roles = [str(message.get("role")) for message in messages]
            raise DataError(
                f"The tokenizer's chat template fails on messages of {', '.join(roles)}: {error}. "
                f"{_suggest_joining(roles)}Change the messages, or use a template of your own: "
                "prompt: '{source}\\n\\nTL;DR:'"
            ) from error
        return texts[0], spans[0] if spans else []

    def _get_source(self, tools: Any) -> str:
        source: str = self.tokenizer.get_chat_template(None, tools)
        return _write_date_macro(self.day) + source if writes_date(self.tokenizer) else source


def _suggest_joining(roles: Sequence[str]) -> str:
    """Return the cure for two messages of the same role in a row, which many templates refuse; empty without."""
    for number, pair in enumerate(pairwise(roles), 1):
        if pair[0] == pair[1]:
            return f"Messages {number} and {number + 1} are both by the {pair[0]}: join them into one. "
    return ""


def writes_date(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a chat template may write the date of the day on which it is used."""
    return "strftime_now" in str(tokenizer.chat_template)


def get_day(options: TextOptions) -> date:
    """Return the date that chat templates write: the recipe's, or today's."""
    return options.date or date.today()


def _write_date_macro(day: date) -> str:
    """Return a macro for Jinja in the place of transformers' function `strftime_now`, which reads the clock."""
    values = {f"%{flag}{code}": day.strftime(f"%{flag}{code}") for code in _CODES for flag in ("-", "")}
    replacements = "".join(f" | replace({code!r}, {value!r})" for code, value in values.items())
    # the empty expression keeps Jinja from removing a line break at the beginning of the template
    return "{% macro strftime_now(format) %}{{ format" + replacements + " }}{% endmacro %}{{ '' }}"
