"""The shape of the data and its columns, written into the options as a recipe would name them."""

from __future__ import annotations

from tuneoff.config.data import ColumnNames, DataOptions, get_fields
from tuneoff.data.rows import Rows
from tuneoff.data.shapes.recognize import choose_shape


def complete_fields(options: DataOptions, rows: Rows) -> tuple[DataOptions, tuple[str, ...]]:
    """Return the options with the shape and the columns that were recognized, if the recipe names none.

    Also returns a note that says what was recognized.

    Raises:
        DataError: no shape fits, or several do.
    """
    chosen = choose_shape(rows, options)
    fields = ColumnNames.model_fields
    names = {role: name for role, name in chosen.names.items() if role in fields}
    if not chosen.is_recognized or all(name == fields[role].default for role, name in names.items()):
        return options, ()
    named = {"shape": chosen.shape.name, "fields": ColumnNames(**names, group=get_fields(options).group)}
    return options.model_copy(update=named), (f"The rows were recognized as {chosen.describe()}.",)
