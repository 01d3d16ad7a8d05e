"""What was found in data, in the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuneoff.console.progress import replace_unprintable
from tuneoff.report.escape import escape_control
from tuneoff.report.overview import (
    COLUMN_HEADINGS,
    LENGTH_HEADINGS,
    describe_cuts,
    list_column_cells,
    list_findings,
    list_length_cells,
    list_next_steps,
    list_rows,
)

if TYPE_CHECKING:
    from tuneoff.data.overview import Overview, RenderedExample

SCORED = "bold green"
SHOWN_CHARACTERS = 1200  # of the part of an example before or after the border


def print_overview(overview: Overview, title: str) -> None:
    """Print files, columns, findings, lengths and three examples, with what is scored in color."""
    console = Console(highlight=False)
    console.print(_make_text(title, "bold"))
    _print_lines(console, list_rows(overview))
    console.print(_make_table(COLUMN_HEADINGS, list_column_cells(overview), "left"))
    _print_lines(console, list_findings(overview))
    if overview.lengths:
        console.print(_make_table(LENGTH_HEADINGS, list_length_cells(overview), "right"))
        _print_lines(console, [describe_cuts(overview)])
    for number, example in enumerate(overview.rendered, start=1):
        console.print()
        console.print(_make_text(f"Example {number}, {_describe_example(example)}", "bold"))
        console.print(_render(example))
    if overview.rendered:
        console.print(Text.assemble("\nTraining scores the part in ", ("green", SCORED), "."))
    _print_lines(console, list_next_steps(overview))


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(_make_text(line))


def _make_table(headings: Iterable[str], rows: Iterable[Iterable[str]], justify: Literal["left", "right"]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, collapse_padding=True)
    for heading in headings:
        table.add_column(heading, overflow="fold", justify=justify)
    for cells in rows:
        table.add_row(*map(_make_text, cells))
    return table


def _describe_example(example: RenderedExample) -> str:
    cut = [side for side, is_cut in (("source", example.source_cut), ("target", example.target_cut)) if is_cut]
    return f"{example.tokens} tokens" + (f", {' and '.join(cut)} cut" if cut else "")


def _render(example: RenderedExample) -> Text:
    return Text.assemble(
        *(
            (
                escape_control(_shorten(part.text)),
                SCORED if part.is_scored else "",
            )
            for part in example.parts
        )
    )


def _shorten(text: str) -> str:
    """Leave out the middle of a long text: the question or the first turn stands at one end."""
    hidden, half = len(text) - SHOWN_CHARACTERS, SHOWN_CHARACTERS // 2
    return text if hidden <= 0 else f"{text[:half]} … ({hidden:,} more characters) … {text[-half:]}"


def _make_text(line: str, style: str = "") -> Text:
    return Text(replace_unprintable(escape_control(line)), style=style)
