"""A run in a notebook, as HTML without widgets or scripts."""

from __future__ import annotations

import io
import time
from typing import final

from rich.console import Console

from tuneoff.errors import RunError
from tuneoff.watching.page import render_fragment
from tuneoff.watching.reading import RunWatch
from tuneoff.watching.terminal import render


@final
class RunView:
    """What a run looks like now. As the last value of a cell it is shown as of that moment."""

    def __init__(self, watch: RunWatch) -> None:
        self._watch = watch

    def _repr_html_(self) -> str:
        return render_fragment(self._watch.look())

    def __repr__(self) -> str:
        console = Console(width=100, file=io.StringIO())
        with console.capture() as captured:
            console.print(render(self._watch.look(), console.width))
        return captured.get()

    def follow(self, every_seconds: float = 5.0) -> None:
        """Show the run in this cell, and show it anew until it is finished or stopped, or the cell is interrupted.

        Raises:
            RunError: this is no notebook.
        """
        try:
            from IPython.display import HTML, display
        except ImportError as error:
            raise RunError("follow() is for a notebook. In a terminal: tuneoff watch RUN") from error
        view = self._watch.look()
        handle = display(HTML(render_fragment(view)), display_id=True)  # type: ignore[no-untyped-call]
        if handle is None:
            raise RunError("follow() is for a notebook. In a terminal: tuneoff watch RUN")
        while view.state not in {"finished", "stopped"}:
            time.sleep(every_seconds)
            view = self._watch.look()
            handle.update(HTML(render_fragment(view)))  # type: ignore[no-untyped-call]
