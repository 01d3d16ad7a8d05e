"""What a prompt that is too long loses: a part of its longest text, or the oldest turns of a chat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tuneoff.data.example import Row

Side = Literal["end", "start", "middle"]
GAP = " … "  # in the place of a middle that was removed


class NothingToCutError(ValueError):
    """A prompt is too long, and nothing of it may be removed."""


def shorten_texts(
    texts: Mapping[str, str],
    side: Side,
    count_excess: Callable[[Mapping[str, str]], int],
    find_token_ends: Callable[[str], Sequence[int]],
) -> dict[str, str]:
    """Cut texts at the borders of their tokens until a prompt fits. The longest is cut first.

    In a prompt, the tokens beside a cut can differ from those of the text alone, so a prompt that is still too long is
    cut again.

    Args:
        texts: those that may be cut.
        side: the part that is removed.
        count_excess: returns by how many tokens the prompt of some texts is too long.

    Raises:
        NothingToCutError: the prompt is too long without these texts.
    """
    ends = {name: find_token_ends(text) for name, text in texts.items()}
    kept = {name: len(of_text) for name, of_text in ends.items()}
    shortened = dict(texts)
    while (excess := count_excess(shortened)) > 0:
        longest = max(kept, key=lambda name: kept[name], default=None)
        if longest is None or kept[longest] == 0:
            raise NothingToCutError
        kept[longest] = max(0, kept[longest] - excess)
        shortened[longest] = cut_text(texts[longest], ends[longest], kept[longest], side)
    return shortened


def cut_text(text: str, ends: Sequence[int], kept: int, side: Side) -> str:
    """Return a text with only `kept` of its tokens.

    Args:
        ends: the character at which each token of the text ends.
    """
    if kept == 0:
        return ""
    match side:
        case "end":
            return text[: ends[kept - 1]]
        case "start":
            return text[ends[-kept - 1] :] if kept < len(ends) else text
        case "middle":
            tail = kept // 2
            return text[: ends[kept - tail - 1]] + GAP + (text[ends[-tail - 1] :] if tail else "")


def drop_oldest_turn(messages: Sequence[Row]) -> list[Row] | None:
    """Return messages without the oldest user message and what follows it, up to the next user message.

    System messages stay. None: there is one user message only.
    """
    first = next((k for k, message in enumerate(messages) if _get_role(message) not in ("system", "developer")), None)
    if first is None:
        return None
    later = (k for k in range(first + 1, len(messages)) if _get_role(messages[k]) == "user")
    return next(([*messages[:first], *messages[k:]] for k in later), None)


def list_texts(messages: Sequence[Row]) -> dict[str, str]:
    """Return the contents that may be cut, by the index of their messages: text that is not a system message's."""
    return {
        str(k): message["content"]
        for k, message in enumerate(messages)
        if isinstance(message.get("content"), str) and _get_role(message) not in ("system", "developer")
    }


def replace_texts(messages: Sequence[Row], texts: Mapping[str, str]) -> list[Row]:
    """Put other contents into messages."""
    return [{**message, "content": texts.get(str(k), message.get("content"))} for k, message in enumerate(messages)]


def _get_role(message: Row) -> Any:  # Any: what the data has
    return message.get("role")
