"""Reading: from whatever files a user has to rows with all their columns."""

from tuneoff.data.reading.columns import Column, find_column, resolve_columns
from tuneoff.data.reading.library import hide_progress_bars
from tuneoff.data.reading.sources import read_rows

__all__ = ["Column", "find_column", "hide_progress_bars", "read_rows", "resolve_columns"]
