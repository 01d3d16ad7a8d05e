"""Examples without an answer, of which a model is to write one: a text, a row as in the data, or a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from tuneoff.config.data import ColumnNames, TextOptions, get_fields
from tuneoff.data.cleaning import clean_text
from tuneoff.data.example import Example, Row
from tuneoff.data.reading.columns import find_column
from tuneoff.data.shapes import SHAPES
from tuneoff.data.shapes.messages import read_messages
from tuneoff.data.shapes.recognize import ChosenShape
from tuneoff.data.shapes.shape import Cells
from tuneoff.data.values import UnusableRowError
from tuneoff.errors import DataError

Text = TypeVar("Text", bound=TextOptions)

_ANSWER = {"role": "assistant", "content": "-"}  # in the place of the answer that is to be written
_PLACE = "the row"


def name_shape(options: Text, chosen: ChosenShape) -> Text:
    """Write the shape and the columns that were recognized into the options, so that further rows can be read."""
    named = {role: name for role, name in chosen.names.items() if role in ColumnNames.model_fields}
    fields = ColumnNames(**named, group=chosen.group)
    with_fields = {"fields": fields} if "fields" in type(options).model_fields else {}
    return options.model_copy(update={"shape": chosen.shape.name, **with_fields})


def build_unanswered(asked: str | Row | Sequence[Row], options: TextOptions) -> Example:
    """Build an example from a source text, a row of the data's shape, or the messages before an answer.

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
        return Example(source="", target="", messages=(*read_messages(list(asked)), _ANSWER))
    except UnusableRowError as error:
        raise DataError(f"This cannot be answered: {error}. Given was {asked!r:.200}") from error


def _build_from_row(row: Row, options: TextOptions) -> Example:
    shape = SHAPES["pairs" if options.shape == "auto" else options.shape]
    fields = get_fields(options)
    named = {"source": fields.source, "context": fields.context, "messages": fields.messages}
    columns = {role: find_column(name, list(row), _PLACE) for role, name in named.items() if name is not None}
    values = {role: column.get(row) for role, column in columns.items() if column is not None}
    if "messages" in values and isinstance(values["messages"], list):
        system = row.get("system")
        before = [{"role": "system", "content": system}] if isinstance(system, str) and system.strip() else []
        messages = read_messages(values["messages"]) if shape.name == "messages" else ()
        if not messages:
            raise UnusableRowError(f"rows of the shape {shape.name} are not read here: give the messages as a list")
        return Example(source="", target="", columns=row, messages=(*before, *messages, _ANSWER))
    parts = shape.build(Cells(values={**values, "target": "-"}, classes={}, options=options))
    return Example(source=clean_text(parts.source, options.clean), target="", columns=row)
