"""Examples without an answer, of which a model is to write one: a text, a row as in the data, or a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from tuneoff.config.data import CHAT, ColumnNames, TextOptions, get_fields
from tuneoff.data.cleaning import clean_messages, clean_text
from tuneoff.data.example import Example, Row
from tuneoff.data.reading.columns import find_column
from tuneoff.data.shapes import SHAPES
from tuneoff.data.shapes.messages import build_chat, read_messages, read_turns
from tuneoff.data.shapes.recognize import ChosenShape
from tuneoff.data.shapes.shape import Cells, Parts, Shape
from tuneoff.data.values import UnusableRowError
from tuneoff.errors import DataError

Text = TypeVar("Text", bound=TextOptions)

_ANSWER = {"role": "assistant", "content": "-"}  # in the place of the answer that is to be written
_SYSTEM = "system"  # the column that a chat may have besides its messages
_PLACE = "the row"


def name_shape(options: Text, chosen: ChosenShape) -> Text:
    """Write the shape and the columns that were recognized into the options, so that further rows can be read."""
    named = {role: name for role, name in chosen.names.items() if role in ColumnNames.model_fields}
    fields = ColumnNames(**named, group=chosen.group)
    with_fields = {"fields": fields} if "fields" in type(options).model_fields else {}
    return options.model_copy(update={"shape": chosen.shape.name, **with_fields})


def build_unanswered(asked: str | Row | Sequence[Row], options: TextOptions) -> Example:
    """Build an example from a source text, a row of the data's shape, or the messages before an answer.

    A row may have its answer, as those of the data have. It is not used.

    Args:
        options: those of a run, with its shape and its columns.

    Raises:
        DataError: the row or the messages cannot be read.
    """
    if isinstance(asked, str):
        return Example(source=clean_text(asked, options.clean), target="", columns={})
    try:
        if isinstance(asked, Mapping):
            return _build_from_row(asked, options)
        return _build_from_messages(read_messages(list(asked)), options)
    except UnusableRowError as error:
        raise DataError(f"This cannot be answered: {error}. Given was {asked!r:.200}") from error


def has_chats(options: TextOptions) -> bool:
    """Return whether the rows of the data are chats.

    Args:
        options: those of a run, with its shape.
    """
    return "messages" in _get_shape(options).required


def _build_from_messages(messages: Sequence[Row], options: TextOptions) -> Example:
    if messages[-1]["role"] == "assistant":
        raise UnusableRowError("the last message is the assistant's own. Leave it out to have it written")
    if options.prompt not in (CHAT, None) and not has_chats(options) and len(messages) > 1:
        raise UnusableRowError(
            "the model was trained on single texts and has not seen turns of a chat. Give one message of the user"
        )
    return _make_example(build_chat([*messages, _ANSWER]), {}, options)


def _build_from_row(row: Row, options: TextOptions) -> Example:
    shape, fields = _get_shape(options), get_fields(options)
    named = {"source": fields.source, "context": fields.context, "messages": fields.messages, "system": _SYSTEM}
    columns = {role: find_column(name, list(row), _PLACE) for role, name in named.items() if name is not None}
    values = {role: column.get(row) for role, column in columns.items() if column is not None}
    cells = Cells(values={**values, "target": "-"}, classes={}, options=options)
    parts = shape.build(cells) if "messages" not in shape.required else _build_chat(shape, cells)
    return _make_example(parts, row, options)


def _make_example(parts: Parts, row: Row, options: TextOptions) -> Example:
    messages = (*clean_messages(parts.messages[:-1], options), _ANSWER) if parts.messages else ()
    return Example(source=clean_text(parts.source, options.clean), target="", columns=row, messages=messages)


def _build_chat(shape: Shape, cells: Cells) -> Parts:
    """Build a chat up to the answer that is to be written, which is the row's own last one if the row ends with one."""
    turns = read_turns(cells.values.get("messages"))
    asked = shape.build(replace(cells, values={**cells.values, "messages": [*turns, shape.answer_turn]}))
    has_answer = asked.messages[-2]["role"] == "assistant"
    return shape.build(cells) if has_answer else asked


def _get_shape(options: TextOptions) -> Shape:
    return SHAPES["pairs" if options.shape == "auto" else options.shape]
