"""Answers of several models side by side in the terminal, or one below another where it is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_seconds
from tuneoff.runner.arms import Answer

COLUMN_WIDTH = 32  # characters that an answer needs to be readable in a column


def print_answers(answers: Sequence[Answer], console: Console) -> None:
    """Print the answers in as many columns as are readable."""
    columns = max(1, min(len(answers), console.width // COLUMN_WIDTH))
    for start in range(0, len(answers), columns):
        _print_side_by_side(answers[start : start + columns], console)


def print_block(heading: str, text: str, console: Console) -> None:
    """Print a text under a heading."""
    console.print(Text(heading, style="bold"))
    console.print(Text(escape_control(text)), end="\n\n")


def _print_side_by_side(answers: Sequence[Answer], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    for answer in answers:
        table.add_column(Text(_make_heading(answer)), ratio=1, overflow="fold")
    table.add_row(*(Text(escape_control(answer.text)) for answer in answers))
    console.print(table)


def _make_heading(answer: Answer) -> str:
    label = escape_control(answer.label)
    return label if answer.seconds is None else f"{label}, {format_seconds(answer.seconds)}"
