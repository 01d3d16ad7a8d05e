"""The progress bars of libraries, which would mix with our own output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def limit_progress_bars(*, to_terminals: bool = False) -> Iterator[None]:
    """Hide all bars of tqdm inside the block.

    Args:
        to_terminals: show those that are written to a terminal.
    """
    from tqdm import tqdm

    original = tqdm.__init__
    disable = None if to_terminals else True  # with None, tqdm asks whether its file is a terminal

    def init(bar: Any, *args: Any, **options: Any) -> None:
        original(bar, *args, **{**options, "disable": disable})

    tqdm.__init__ = init
    try:
        yield
    finally:
        tqdm.__init__ = original
