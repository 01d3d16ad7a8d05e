"""Values of any type as text, by fixed rules.

Text stays as it is. A whole number as a float is written as an integer, because files turn integers into floats when
a cell of the column is empty. Objects become JSON with sorted keys, so that equal objects are equal texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tuneoff.config.data import TextOptions

EXACT_FLOATS = 2**53  # floats from here on are whole numbers that were rounded
SEPARATOR = " "  # between the items of a list as source, such as the sentences of a text

# as spreadsheets, R, pandas and databases write a cell without a value
NA_TEXTS = frozenset({"NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "-nan", "None", "NULL", "Null", "null"})


class UnusableRowError(Exception):
    """A row without text to learn from; the message is the reason, and is stored with the data's statistics."""


class MissingValueError(UnusableRowError):
    """A row in which a value is missing, or its target spells a missing value."""


def is_missing(value: object) -> bool:
    """Return whether a cell has no value: none, or a float that is not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_na_text(text: str) -> bool:
    """Return whether a text spells a missing value."""
    return text.strip() in NA_TEXTS


def convert_text(name: str, value: Any, classes: Sequence[str] = ()) -> str:  # Any: columns hold anything
    """Return a value as text.

    Args:
        name: what the value is for, for the message of an error.
        classes: the names of the classes, if the value is the number of one.

    Raises:
        UnusableRowError: the value is missing, or has no text.
    """
    if is_missing(value):
        raise MissingValueError(f"{name} is missing")
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return _name_class(name, value, classes) if classes else str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < EXACT_FLOATS else repr(value)
        case datetime():
            is_day = value.tzinfo is None and value.time() == time()  # workbooks know no date without a time
            return value.date().isoformat() if is_day else value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case Decimal() | timedelta():
            return str(value)
        case Mapping() | list() | tuple():
            return _write_json(name, value)
        case _:
            raise UnusableRowError(f"{name} is not text but {type(value).__name__}: {value!r:.40}")


def convert_source(name: str, value: Any, classes: Sequence[str] = ()) -> str:
    """Return the value that the model reads as text. The texts of a list, such as sentences, are joined.

    Raises:
        UnusableRowError: the value is missing, or has no text.
    """
    if _is_text_list(value):
        return SEPARATOR.join(value)
    return convert_text(name, value, classes)


def convert_answers(
    value: Any, options: TextOptions, classes: Sequence[str] = (), *, lists_objects: bool = False
) -> tuple[str, ...]:
    """Return the accepted answers of a row, different from each other, the one to train on first.

    A list is several answers, or one text if the options join it; a list of objects is JSON. The answers of SQuAD are
    the texts of an object `{"text": [...], "answer_start": [...]}`.

    Args:
        lists_objects: whether other rows have lists of objects, so that an empty list is JSON too: no object.

    Raises:
        UnusableRowError: the value is missing, or has no text.
    """
    if isinstance(value, Mapping) and isinstance(value.get("text"), list | tuple) and "answer_start" in value:
        value = value["text"] or [""]  # a question without an answer
    if not isinstance(value, list | tuple) or has_objects(value):
        return (convert_text("target", value, classes),)
    if not value and lists_objects:
        return (_write_json("target", value),)
    if not value and options.empty_targets == "keep":
        return ("",)
    if not value:
        raise MissingValueError("target is missing: an empty list")
    answers = [convert_text("target", item, classes) for item in value if not is_missing(item)]
    if not answers:
        raise MissingValueError("target is missing: a list without values")
    return ("\n".join(answers),) if options.references == "join" else tuple(dict.fromkeys(answers))


def has_objects(value: object) -> bool:
    """Return whether a value is a list with objects or lists in it."""
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)


def _name_class(name: str, value: int, classes: Sequence[str]) -> str:
    if not 0 <= value < len(classes):  # -1 marks a row without a label, as in the test splits of GLUE
        raise MissingValueError(f"{name} is missing: class {value} of {len(classes)}")
    return classes[value]


def _write_json(name: str, value: Any) -> str:
    try:
        return json.dumps(
            value, ensure_ascii=False, sort_keys=True, allow_nan=False, default=lambda item: convert_text(name, item)
        )
    except (TypeError, ValueError) as error:  # keys of different types; numbers that JSON does not have
        raise UnusableRowError(f"{name} cannot be written as JSON: {error}") from error
