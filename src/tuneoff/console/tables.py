"""Tables in the terminal."""

from rich import box
from rich.table import Table


def make_table(first: str, *others: str) -> Table:
    """Return an empty table with these column headings.

    All columns but the first are aligned to the right. The first is folded where the terminal is too narrow.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
