"""A function that writes a file and reads it as the data of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuneoff.data.reading import read_rows
from tuneoff.data.rows import Rows


@pytest.fixture
def read_as_train(write: Callable[..., str], options: Callable[..., Any]) -> Callable[..., Rows]:
    """Write a file and read all its rows."""

    def read(name: str, content: str | bytes, source: str = "files", **keys: Any) -> Rows:
        return read_rows(options(source=source, files=write(name, content), **keys))["train"]

    return read


@pytest.fixture
def read_dicts(read_as_train: Callable[..., Rows]) -> Callable[..., list[Any]]:
    """Write a file and return its rows."""

    def read(*args: Any, **keys: Any) -> list[Any]:
        rows = read_as_train(*args, **keys)
        return rows.take(range(rows.count))

    return read
