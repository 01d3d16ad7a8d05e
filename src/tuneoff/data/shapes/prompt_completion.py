"""A prompt and its completion: two texts, or the messages before an answer and the answer as a message."""

from tuneoff.data.shapes.messages import build_chat, read_messages
from tuneoff.data.shapes.shape import Cells, Parts, Shape, build_pair, fits_always


def build_completion(cells: Cells) -> Parts:
    """Build the parts of a row; a list of messages in both columns is a chat."""
    prompt, completion = cells.values.get("source"), cells.values.get("target")
    if _is_messages(prompt) and _is_messages(completion):
        return build_chat([*read_messages(prompt), *read_messages(completion)])
    return build_pair(cells)


def _is_messages(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(m, dict) and "role" in m for m in value)


SHAPE = Shape(
    name="prompt-completion",
    usual=tuple({"source": "prompt", "target": answer} for answer in ("completion", "response")),
    required=("source", "target"),
    fits=fits_always,
    build=build_completion,
)
