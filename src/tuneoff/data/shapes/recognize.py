"""Which shape the rows have, and which column is for what.

A shape is named in the recipe, or recognized by the usual names of its columns and a sample of their values. Columns
that the recipe names count first. Where two shapes fit with other columns, the data are refused: a guess would train on
the wrong column without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuneoff.config.data import ColumnNames, ShapeName, TextOptions, get_fields
from tuneoff.data.example import EXTRA_NAMES, Row
from tuneoff.data.reading.columns import Column, find_column
from tuneoff.data.rows import Rows
from tuneoff.data.shapes import SHAPES, Shape
from tuneoff.data.values import has_objects, is_missing
from tuneoff.errors import DataError, suggest

PROBED_ROWS = 100
MOST_READ = 1000  # rows in which a list of objects is looked for
CHATS: tuple[ShapeName, ...] = ("messages", "sharegpt")
Answers = frozenset[tuple[str, ...]]  # paths to what holds the answer of a row: ("meta", "a") is the key "a" of "meta"


@dataclass(frozen=True, kw_only=True)
class ChosenShape:
    """A shape with the columns of the data that it reads."""

    shape: Shape
    names: Mapping[str, str]  # of the columns, or paths into them, by role
    group: str | None
    is_recognized: bool  # not named in the recipe
    targets_list_objects: bool = False  # in some rows, such as the entities of a text

    @property
    def has_chats(self) -> bool:
        """Whether the rows are chats."""
        return "messages" in self.shape.required

    def describe(self) -> str:
        """Return the shape and its columns, such as `question-answer (source: question, target: answers)`."""
        columns = ", ".join(f"{role}: {name}" for role, name in self.names.items())
        return f"{self.shape.name} ({columns})"

    def find_columns(self, rows: Rows) -> dict[str, Column]:
        """Find the columns in the rows of one split, by role, with that of the group.

        Raises:
            DataError: the split does not have one of them.
        """
        wanted = self.names if self.group is None else {**self.names, "group": self.group}
        return {role: _require_column(role, name, rows) for role, name in wanted.items()}


def choose_shape(rows: Rows, options: TextOptions) -> ChosenShape:
    """Choose the shape of the rows of train.

    Raises:
        DataError: a column is missing, no shape fits, or several do.
    """
    chosen = _choose(rows, options)
    column = find_column(chosen.names.get("target", ""), rows.columns, rows.place)
    if column is None:
        return chosen
    read = rows.take(range(min(rows.count, MOST_READ)))
    return replace(chosen, targets_list_objects=any(has_objects(column.get(row)) for row in read))


def _choose(rows: Rows, options: TextOptions) -> ChosenShape:
    fields = get_fields(options)
    named = fields.by_role
    if options.shape != "auto":
        shape = SHAPES[options.shape]
        names = _find_names(shape, rows, named)
        if names is None:
            raise DataError(_explain_missing(shape, rows, named))
        return ChosenShape(shape=shape, names=names, group=fields.group, is_recognized=False)
    if named:
        return _take_named(rows, fields)
    fitting = _list_fitting(rows)
    if not fitting:
        raise DataError(_explain_unknown(rows))
    if len(fitting) > 1:
        raise DataError(_explain_ambiguity(rows, fitting))
    ((name, names),) = fitting.items()
    return ChosenShape(shape=SHAPES[name], names=names, group=fields.group, is_recognized=True)


def list_answers(rows: Rows, chosen: ChosenShape) -> Answers:
    """Return the paths under which a row shows its answer: by the name of the recipe, and by that of the data."""
    paths: set[tuple[str, ...]] = set()
    for name in (chosen.names[role] for role in ("target", "messages") if role in chosen.names):
        column = _require_column("target", name, rows)
        paths |= {(column.name, *column.path), rows.shown_by.get(column.name, (column.name,))}
    return frozenset(path for path in paths if path[0] not in EXTRA_NAMES)


def _take_named(rows: Rows, fields: ColumnNames) -> ChosenShape:
    """Take the columns that the recipe names: two texts, with a context if it names one, or a chat."""
    named = fields.by_role
    if "messages" in named:
        probed = _probe(rows)
        fitting = [name for name in CHATS if _fits(SHAPES[name], rows, {"messages": named["messages"]}, probed)]
        shape = SHAPES[fitting[0] if fitting else "messages"]
        names = {"messages": named["messages"]}
    else:
        pair: ShapeName = "question-answer" if "context" in named else "pairs"
        shape = SHAPES[pair]
        names = {"source": fields.source, "target": fields.target}
        names |= {"context": named["context"]} if "context" in named else {}
    for role, name in names.items():
        _require_column(role, name, rows)
    return ChosenShape(shape=shape, names=names, group=fields.group, is_recognized=False)


def _list_fitting(rows: Rows) -> dict[ShapeName, Mapping[str, str]]:
    """Return the shapes that fit, without those that read only a part of what another one reads."""
    probed = _probe(rows)
    found = {name: names for name, shape in SHAPES.items() if (names := _find_names(shape, rows, {}, probed))}
    columns = {name: set(names.values()) for name, names in found.items()}
    if "pairs" in found and columns["pairs"] == {"source", "target"}:
        return {"pairs": found["pairs"]}  # the names that the documentation asks for
    largest: dict[ShapeName, Mapping[str, str]] = {
        name: names
        for name, names in found.items()
        if name != "text" and not any(columns[name] < other for other in columns.values())
    }
    same: dict[frozenset[str], ShapeName] = {}
    for name in largest:
        same.setdefault(frozenset(columns[name]), name)
    return {name: largest[name] for name in same.values()} or found


def _find_names(
    shape: Shape, rows: Rows, named: Mapping[str, str], probed: Sequence[Row] | None = None
) -> Mapping[str, str] | None:
    """Return the columns of a shape by role; None if one is missing or, with probed rows, their values do not fit.

    Args:
        named: the columns that the recipe names, which stand in for the usual ones.
    """
    roles = {role for usual in shape.usual for role in usual}
    given = {role: name for role, name in named.items() if role in roles}
    choices = [{**usual, **given} for usual in shape.usual] + ([given] if set(shape.required) <= set(given) else [])
    for names in choices:
        columns = {role: find_column(name, rows.columns, rows.place) for role, name in names.items()}
        if all(columns.values()) and (probed is None or _fits(shape, rows, names, probed)):
            return {role: name if role in given else _get_name(columns[role]) for role, name in names.items()}
    return None


def _get_name(column: Column | None) -> str:
    assert column is not None
    return ".".join((column.name, *column.path))


def _fits(shape: Shape, rows: Rows, names: Mapping[str, str], probed: Sequence[Row]) -> bool:
    values: dict[str, list[Any]] = {}
    for role, name in names.items():
        column = find_column(name, rows.columns, rows.place)
        if column is None:
            return False
        values[role] = [value for row in probed if not is_missing(value := column.get(row))]
    return shape.fits(values)


def _probe(rows: Rows) -> list[Row]:
    return rows.take(range(min(rows.count, PROBED_ROWS)))


def _require_column(role: str, name: str, rows: Rows) -> Column:
    column = find_column(name, rows.columns, rows.place)
    if column is None:
        raise DataError(
            f"{rows.place} has no column {name!r} for the {role}.{suggest(name, rows.columns)} "
            f"Name the right one: fields: {{{role}: NAME}}."
        )
    return column


def _explain_missing(shape: Shape, rows: Rows, named: Mapping[str, str]) -> str:
    for role, name in named.items():
        if find_column(name, rows.columns, rows.place) is None:
            return f"{rows.place} has no column {name!r} for the {role}.{suggest(name, rows.columns)}"
    usual = dict.fromkeys(" and ".join(names.values()) for names in shape.usual)
    cure = ", ".join(f"{role}: NAME" for role in shape.required)
    return (
        f"{rows.place} has no columns for data.shape: {shape.name}, which reads {' or '.join([*usual][:4])}; the "
        f"columns are {_list_columns(rows)}. Name them, fields: {{{cure}}}, or choose another shape."
    )


def _explain_unknown(rows: Rows) -> str:
    first = (_probe(rows) or [{}])[0]
    tables = [path for path, value in _list_nested(first) if _is_table(value)]
    nested = [path for path, value in _list_nested(first) if not isinstance(value, Mapping | list)]
    source, target = nested[:2] if len(nested) > 1 else ("NAME", "NAME")
    cure = f"Name them: fields: {{source: {source}, target: {target}}}"
    if rows.count == 1 and tables:
        cure = f"If the rows are a list inside it, name that: records: {tables[0]}"
    elif inner := [name for name, value in first.items() if _is_table(value)]:
        cure = (
            f"Each row has a list of objects in {inner[0]!r}. If those are the rows, write each as one first, such as "
            f"with pandas.json_normalize(rows, record_path={inner[0]!r}, meta=[...])"
        )
    return (
        f"{rows.place} has no columns that say what the model reads and what it should write. Looked for 'source' and "
        f"'target', and for the usual columns of {', '.join(name for name in SHAPES if name != 'pairs')}; the columns "
        f"are {_list_columns(rows)}. {cure}."
    )


def _list_nested(values: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield the values inside columns of objects, each with its path, such as `translation.en`."""
    for name, value in values.items():
        if parents:
            yield ".".join((*parents, name)), value
        if isinstance(value, Mapping):
            yield from _list_nested(value, (*parents, name))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _explain_ambiguity(rows: Rows, fitting: Mapping[ShapeName, Mapping[str, str]]) -> str:
    found = "; or ".join(f"{name} with {' and '.join(names.values())}" for name, names in fitting.items())
    return (
        f"{rows.place} can be read in several ways: {found}. Choose one, such as data.shape: {next(iter(fitting))}, or "
        "name the columns: fields: {source: NAME, target: NAME}."
    )


def _list_columns(rows: Rows) -> str:
    return ", ".join(map(repr, rows.columns))
