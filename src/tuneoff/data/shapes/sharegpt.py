"""A chat as ShareGPT writes it: `conversations`, a list of turns with `from` and `value`, and perhaps `system`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuneoff.data.example import Row
from tuneoff.data.shapes.messages import build_chat, join_content, read_system, read_turns
from tuneoff.data.shapes.shape import Cells, Parts, Shape
from tuneoff.data.values import UnusableRowError

ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
}


def build_conversation(cells: Cells) -> Parts:
    """Build the parts of a row with turns of ShareGPT."""
    turns = read_turns(cells.values.get("messages"))
    return build_chat([*read_system(cells), *(_convert_turn(turn, number) for number, turn in enumerate(turns, 1))])


def _convert_turn(turn: Mapping[str, Any], number: int) -> Row:
    speaker = turn.get("from")
    if speaker not in ROLES:
        raise UnusableRowError(
            f"message {number} is from {speaker!r}. Known are {', '.join(ROLES)}; rename it in the data"
        )
    content = join_content(turn.get("value"), number)
    if content is None:
        raise UnusableRowError(f"message {number} has no value")
    return {"role": ROLES[speaker], "content": content}


def _fits(values: Mapping[str, Sequence[Any]]) -> bool:
    return bool(values["messages"]) and all(map(_is_conversation, values["messages"]))


def _is_conversation(value: Any) -> bool:
    try:
        turns = read_turns(value)
    except UnusableRowError:
        return False
    return "from" in turns[0] and "value" in turns[0]


SHAPE = Shape(
    name="sharegpt",
    usual=tuple(
        {"messages": name, **system}
        for name in ("conversations", "conversation", "messages")
        for system in ({"system": "system"}, {})
    ),
    required=("messages",),
    fits=_fits,
    build=build_conversation,
    answer_turn={"from": "gpt", "value": "-"},
)
