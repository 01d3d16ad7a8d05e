"""The contract of a shape: what a row of a kind of data is made of, and how it becomes text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuneoff.config.data import ShapeName, TextOptions
from tuneoff.data.example import Row
from tuneoff.data.values import convert_answers, convert_source, is_missing


@dataclass(frozen=True, kw_only=True)
class Parts:
    """An example without its row and its group."""

    source: str
    answers: tuple[str, ...]  # every accepted one, the one to train on first
    messages: tuple[Row, ...] = ()
    document: str = ""  # that the source is about, if several rows may be about the same


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The values of one row by their role, with the names of classes and the rules for values."""

    values: Mapping[str, Any]  # Any: columns hold anything
    classes: Mapping[str, Sequence[str]]  # of the roles whose value is the number of a class
    options: TextOptions
    targets_list_objects: bool = False  # in some rows, so that an empty list is JSON in the others

    def read_source(self, role: str = "source") -> str:
        """Return the text that the model reads.

        Raises:
            UnusableRowError: it is missing, or has no text.
        """
        return convert_source(role, self.values.get(role), self.classes.get(role, ()))

    def read_answers(self) -> tuple[str, ...]:
        """Return the accepted answers, the one to train on first.

        Raises:
            UnusableRowError: they are missing, or have no text.
        """
        return convert_answers(
            self.values.get("target"),
            self.options,
            self.classes.get("target", ()),
            lists_objects=self.targets_list_objects,
        )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a row is made of.

    A role is what a column is for: "source", "target", "context" or "messages".
    """

    name: ShapeName
    usual: tuple[Mapping[str, str], ...]  # combinations of columns by role, the most telling first
    required: tuple[str, ...]  # the roles that a row cannot do without
    fits: Callable[[Mapping[str, Sequence[Any]]], bool]  # whether a sample of values by role is of this shape
    build: Callable[[Cells], Parts]  # raises UnusableRowError
    answer_turn: Row = field(default_factory=dict)  # of a chat: a turn that stands for an answer to be written


def fits_always(values: Mapping[str, Sequence[Any]]) -> bool:
    """Take any values: the names of the columns are enough."""
    return True


def build_pair(cells: Cells) -> Parts:
    """Build the parts of a row that has a source and a target."""
    return Parts(source=cells.read_source(), answers=cells.read_answers())


def build_with_context(cells: Cells) -> Parts:
    """Build the parts of a row whose source is about a context, which may be empty.

    The context comes last, because a source that is too long loses its end, and the question must remain.
    """
    source, value = cells.read_source(), cells.values.get("context")
    context = "" if is_missing(value) or value == [] else cells.read_source("context")
    text = f"{source}\n\n{context}" if context.strip() else source
    return Parts(source=text, answers=cells.read_answers(), document=context)
