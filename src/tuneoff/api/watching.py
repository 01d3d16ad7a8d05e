"""Look on at a run while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuneoff.watching.notebook import RunView


def watch(run: str | Path, price_per_hour: float | None = None) -> RunView:
    """Return what a run looks like, for a notebook: its trials, curves, speed, cost and time left.

    Everything is read from the run directory, and nothing is written. `.follow()` shows it anew as the run goes on.

    Args:
        price_per_hour: of the machine, to show money; by default that of the recipe's budget.

    Raises:
        RunError: this is not a run directory.
    """
    from tuneoff.watching.notebook import RunView
    from tuneoff.watching.reading import RunWatch

    return RunView(RunWatch(run, price_per_hour))
