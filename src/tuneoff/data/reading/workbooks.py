"""Workbooks of Excel and LibreOffice, read with calamine. The first row of a sheet names the columns."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.data.example import Row
from tuneoff.data.reading.columns import require_unique_names
from tuneoff.data.reading.unpack import check_document_size
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook


def iterate_workbook(path: Path, place: str, sheet: str | None = None) -> Iterator[Row]:
    """Yield the rows of a sheet. A cell has the value that the workbook stores: text, a number, a boolean or a date.

    Args:
        sheet: its name; None if only one sheet has rows.

    Raises:
        DataError: the workbook cannot be read, or several sheets have rows and none is named.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    if zipfile.is_zipfile(path):
        check_document_size(path, place)
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            name = _choose_sheet(workbook, place, sheet)
            yield from _iterate_sheet(workbook, name, f"{place}, sheet {name!r}")
    except CalamineError as error:
        raise DataError(f"{place} cannot be read: {error}. Save it again, or as CSV in UTF-8.") from error


def _choose_sheet(workbook: CalamineWorkbook, place: str, sheet: str | None) -> str:
    names = workbook.sheet_names
    if sheet is not None:
        if sheet not in names:
            raise DataError(f"{place} has no sheet {sheet!r} of data.records.{suggest(sheet, names)}")
        return sheet
    filled = [name for name in names if workbook.get_sheet_by_name(name).height > 1]
    if len(filled) > 1:
        listed = ", ".join(map(repr, filled))
        raise DataError(f"{place} has rows in the sheets {listed}. Name one: data.records: {filled[0]!r}.")
    return filled[0] if filled else names[0]


def _iterate_sheet(workbook: CalamineWorkbook, name: str, place: str) -> Iterator[Row]:
    rows = workbook.get_sheet_by_name(name).iter_rows()
    header: list[str] = []
    for row in rows:  # blank rows may come before the header
        if any(cell != "" for cell in row):
            header = ["" if cell == "" else str(_simplify(cell)).strip() for cell in row]
            break
    require_unique_names(header, place)
    for number, row in enumerate(rows, start=2):
        if len(row) > len(header) or any(cell != "" and not column for column, cell in zip(header, row, strict=False)):
            raise DataError(
                f"{place}, row {number}: a cell outside the columns that the first row names. Name its column."
            )
        if any(cell != "" for cell in row):
            yield {column: _simplify(cell) for column, cell in zip(header, row, strict=False) if column}


def _simplify(cell: Any) -> Any:  # Any: the types that calamine has for cells
    """Return the value of a cell. A workbook has no integers, and shows 7.0 as 7; an empty cell is missing."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return None if cell == "" else cell
