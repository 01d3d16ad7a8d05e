"""The usual names of the columns with the source and the target, for data whose recipe does not name any."""

from __future__ import annotations

from collections.abc import Sequence

from tuneoff.config.data import ColumnNames, DataOptions, get_fields
from tuneoff.data.reading import find_column

USUAL = (
    ("source", "target"),
    ("article", "highlights"),
    ("article", "summary"),
    ("document", "summary"),
    ("dialogue", "summary"),
    ("text", "summary"),
    ("abstract", "summary"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("query", "answer"),
    ("input", "output"),
    ("text", "label"),
    ("sentence", "label"),
)


def complete_fields(options: DataOptions, columns: Sequence[str]) -> tuple[DataOptions, tuple[str, ...]]:
    """Return the options with the columns of source and target, if the named ones are missing and usual ones are there.

    Also returns a note that says which columns were taken.
    """
    fields = get_fields(options)
    if "fields" not in type(options).model_fields or all(find_column(name, columns) for name in fields.names):
        return options, ()
    for source, target in USUAL:
        found = find_column(source, columns), find_column(target, columns)
        if "fields" not in options.model_fields_set and found[0] and found[1]:
            names = ColumnNames(source=found[0].name, target=found[1].name, group=fields.group)
            note = f"Source and target are taken from the columns {found[0].name!r} and {found[1].name!r}."
            return options.model_copy(update={"fields": names}), (note,)
    return options, ()
