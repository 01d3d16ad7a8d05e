"""A chat as the interfaces of OpenAI write it: a list of messages with a role and a content.

The last turn of the assistant is the target. What follows it is no part of the example, and all turns before it stay
in its messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tuneoff.data.example import Row
from tuneoff.data.shapes.shape import Cells, Parts, Shape
from tuneoff.data.values import UnusableRowError

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
CURE = f"Roles are {', '.join(ROLES)}; rename it in the data"


def build_messages(cells: Cells) -> Parts:
    """Build the parts of a row with a list of messages."""
    return build_chat([*read_system(cells), *read_messages(cells.values.get("messages"))])


def read_system(cells: Cells) -> list[Row]:
    """Return the system message that stands in a column of its own; none if the cell is empty."""
    system = cells.values.get("system")
    return [{"role": "system", "content": system}] if isinstance(system, str) and system.strip() else []


def read_messages(value: Any) -> list[Row]:  # Any: columns hold anything
    """Return the messages of a cell, each with a known role and its content as text.

    Raises:
        UnusableRowError: the cell has no list of messages, or one of them is not usable.
    """
    return [_read_message(message, number) for number, message in enumerate(read_turns(value), 1)]


def read_turns(value: Any) -> list[Mapping[str, Any]]:
    """Return the turns of a cell: a list of objects, or the same as JSON text.

    Raises:
        UnusableRowError: the cell has no such list.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise UnusableRowError(f"messages are not a list but text: {value!r:.40}") from None
    if value is None or value == []:
        raise UnusableRowError("messages are missing")
    if not isinstance(value, list | tuple) or not all(isinstance(turn, Mapping) for turn in value):
        raise UnusableRowError(f"messages are not a list of objects: {value!r:.40}")
    return list(value)


def build_chat(messages: Sequence[Row]) -> Parts:
    """Build the parts of a chat, up to its last answer.

    Raises:
        UnusableRowError: the chat has no turn of the assistant, or nothing before it.
    """
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    if not answers:
        raise UnusableRowError("the chat has no turn of the assistant, which would be the target")
    chat = tuple(messages[: answers[-1] + 1])
    before = chat[:-1]
    if not any(message["role"] not in ("system", "developer") for message in before):
        raise UnusableRowError("the chat has no turn of a user before the answer of the assistant")
    return Parts(source=_format_turns(before), answers=(_format_content(chat[-1]),), messages=chat)


def join_content(value: Any, number: int) -> str | None:
    """Return the content of a message as text. The parts of a list are joined.

    Raises:
        UnusableRowError: a part is not text, such as a picture.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(map(_is_text_part, value)):
        return "".join(part["text"] for part in value)
    raise UnusableRowError(f"message {number} has content that is not text: {value!r:.40}")


def _is_text_part(part: object) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def _read_message(message: Mapping[str, Any], number: int) -> Row:
    role = message.get("role")
    if role not in ROLES:
        raise UnusableRowError(f"message {number} has the role {role!r}. {CURE}")
    present = {key: value for key, value in message.items() if value is not None}
    content = join_content(message.get("content"), number)
    if content is None and not message.get("tool_calls"):
        raise UnusableRowError(f"message {number} has no content")
    return {**present, "content": content or ""}


def _format_turns(messages: Sequence[Row]) -> str:
    """Return the turns before the answer as people read them: a single one without its role."""
    if len(messages) == 1:
        return _format_content(messages[0])
    return "\n\n".join(f"{message['role']}: {_format_content(message)}" for message in messages)


def _format_content(message: Row) -> str:
    """Return the text of a message, or its calls of tools as JSON if it has no text."""
    text: str = message["content"]
    calls = message.get("tool_calls")
    return text or (json.dumps(calls, ensure_ascii=False, sort_keys=True, default=str) if calls else "")


def _fits(values: Mapping[str, Sequence[Any]]) -> bool:
    return bool(values["messages"]) and all(_has_keys(value, "role", "content") for value in values["messages"])


def _has_keys(value: Any, *keys: str) -> bool:
    """Return whether the first turn of a cell is an object with one of these keys."""
    try:
        turns = read_turns(value)
    except UnusableRowError:
        return False
    return any(key in turns[0] for key in keys)


SHAPE = Shape(
    name="messages",
    usual=tuple(
        {"messages": name, **system}
        for name in ("messages", "conversation", "conversations")
        for system in ({"system": "system"}, {})
    ),
    required=("messages",),
    fits=_fits,
    build=build_messages,
    answer_turn={"role": "assistant", "content": "-"},
)
