"""What the columns of the data hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.data.example import Row
from tuneoff.data.rows import Rows

SAMPLE_ROWS = 10_000
SHOWN_CHARACTERS = 60
FEWEST_ROWS_OF_GROUP, MOST_ROWS_OF_GROUP = 1.2, 50.0  # on average, of a column that may name groups
FEWEST_GROUPS = 10


@dataclass(frozen=True, kw_only=True)
class ColumnSummary:
    """What one column holds in a sample of the rows."""

    name: str
    kinds: dict[str, int]  # values by kind, the most frequent first: text, number, boolean, list, object, missing
    distinct: int
    median_characters: int | None  # of its texts; None without texts
    longest_characters: int | None
    first: str  # its first value, shortened

    def may_name_groups(self, rows: int) -> bool:
        """Return whether rows with equal values may belong together: there are many values, each in several rows."""
        filled = rows - self.kinds.get("missing", 0)
        each = filled / self.distinct if self.distinct else 0.0
        is_short = self.longest_characters is None or self.longest_characters <= 200
        is_named = set(self.kinds) <= {"text", "number", "missing"}
        return (
            is_named
            and is_short
            and self.distinct >= FEWEST_GROUPS
            and FEWEST_ROWS_OF_GROUP <= each <= MOST_ROWS_OF_GROUP
        )


def sample_rows(rows: Rows) -> list[Row]:
    """Return rows that are spread evenly over the data, all of them if there are few."""
    step = max(1, rows.count // SAMPLE_ROWS)
    return rows.take(range(0, rows.count, step)[:SAMPLE_ROWS])


def summarize_columns(names: Sequence[str], rows: Sequence[Row]) -> tuple[ColumnSummary, ...]:
    """Summarize each column from a sample of the rows."""
    return tuple(_summarize_column(name, [row.get(name) for row in rows]) for name in names)


def _summarize_column(name: str, values: Sequence[Any]) -> ColumnSummary:
    filled = [value for value in values if value is not None]
    lengths = sorted(len(value) for value in filled if isinstance(value, str))
    return ColumnSummary(
        name=name,
        kinds=dict(Counter(map(_name_kind, values)).most_common()),
        distinct=len(set(map(_make_hashable, filled))),
        median_characters=lengths[len(lengths) // 2] if lengths else None,
        longest_characters=lengths[-1] if lengths else None,
        first=_shorten(filled[0]) if filled else "",
    )


def _name_kind(value: Any) -> str:
    match value:
        case None:
            return "missing"
        case str():
            return "text" if value.strip() else "empty text"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list() | tuple():
            return "list"
        case dict():
            return "object"
        case _:
            return type(value).__name__


def _make_hashable(value: Any) -> object:
    return value if isinstance(value, str | int | float) else json.dumps(value, default=str, sort_keys=True)


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    line = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
