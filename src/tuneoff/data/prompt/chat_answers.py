"""What of a chat is an answer: the characters that a model writes, up to the token that ends its turn.

The answers are found in the text that the template writes for the whole chat, either by the template's own marks or by
comparison with what it writes for the messages before an answer. Parts are never rendered on their own, since a
template may write a message differently when others follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from tuneoff.data.example import Row
from tuneoff.data.prompt.chat_template import ChatTemplate, Span
from tuneoff.data.prompt.drafts import Draft
from tuneoff.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ChatAnswers:
    """The answers of a rendered chat."""

    last: str  # the last answer without the end of its turn
    skipped: int = 0  # characters at its beginning that the template does not mark as the model's
    earlier: tuple[Span, ...] = ()  # in the prompt, each with the end of its turn
    opening: str = ""  # the end of the prompt, if the template leaves it out once the chat is finished


def find_answers(chat: ChatTemplate, draft: Draft, last: Row, end: str | None, *, all_turns: bool) -> ChatAnswers:
    """Find the answers of a chat.

    Args:
        draft: the messages before the last answer, and the prompt that the template wrote from them.
        last: the last answer.
        end: the special token that ends a turn, or None.
        all_turns: whether the earlier answers are wanted too.

    Raises:
        DataError: the earlier answers cannot be found, because the template writes them in another way once others
            follow.
    """
    messages = [*draft.messages, last]
    text, marked = chat.render_with_answers(messages, draft.tools) if chat.has_marks else ("", [])
    text = text or chat.render(messages, draft.tools)
    shared = _count_shared(draft.prompt, text)
    follows = shared == len(draft.prompt)
    body = text[shared:] if follows else _continue_prompt(draft.prompt[shared:], str(last.get("content") or ""))
    if end is not None and follows:
        body = body.partition(end)[0]
    starts = [start for start, _ in marked if start >= shared]
    skipped = starts[0] - shared if follows and starts and starts[0] - shared < len(body) else 0
    earlier: Sequence[Span] = ()
    if all_turns:
        within = [span for span in marked if span[1] <= shared]
        earlier = [_include_end(span, draft.prompt, end) for span in within] or _compare_prefixes(chat, draft, end)
    return ChatAnswers(last=body, skipped=skipped, earlier=tuple(earlier), opening=draft.prompt[shared:])


def _continue_prompt(opening: str, content: str) -> str:
    """Return an answer without the beginning that the prompt has already: `<think>`, or thoughts up to `</think>`."""
    begun = opening.strip()
    has_begun = content.startswith(begun) or begun.startswith("</")
    return content.partition(begun)[2].lstrip() if begun in content and begun and has_begun else content


def _compare_prefixes(chat: ChatTemplate, draft: Draft, end: str | None) -> list[Span]:
    spans = []
    for k, message in enumerate(draft.messages):
        if message.get("role") != "assistant":
            continue
        before = chat.render(draft.messages[:k], draft.tools, opens_answer=True)
        after = chat.render(draft.messages[: k + 1], draft.tools)
        start = _count_shared(before, draft.prompt)
        content = str(message.get("content") or "").strip()
        stop = draft.prompt.find(end, start) + len(end) if end is not None else _count_shared(after, draft.prompt)
        written = draft.prompt[start:stop].removesuffix(end or "").strip()
        # the template may have left out the thoughts before an answer, or added a call of a tool, but nothing else
        if stop <= start or not (content in written or content.endswith(written)):
            raise DataError(
                "The earlier answers of a chat cannot be found in what the chat template writes, because it writes "
                f"them in another way once other messages follow: {content[:80]!r}. Use turns: last."
            )
        spans.append((start, stop))
    return spans


def _include_end(span: Span, text: str, end: str | None) -> Span:
    """Return a marked part with the token that ends its turn, and without what follows that."""
    start, stop = span
    if end is None:
        return span
    if end in text[start:stop]:
        return start, text.index(end, start) + len(end)
    return (start, stop + len(end)) if text.startswith(end, stop) else span


def _count_shared(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginnings."""
    if other.startswith(one):
        return len(one)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
