"""Time the steps of a probe, and fit a rate to the times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.budget.probe import Rate
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.accelerators import synchronize

if TYPE_CHECKING:
    import torch


@dataclass
class PhaseTimer:
    """Records when each progress event came, and passes the event on. One that begins a phase is only passed on."""

    on_progress: OnProgress
    device: torch.device

    def __post_init__(self) -> None:
        self._last = time.perf_counter()
        self._intervals: list[tuple[str, int, float]] = []

    def __call__(self, progress: Progress) -> None:
        if progress.done:
            synchronize(self.device)  # kernels of the step may still be in the queue when its event comes
            now = time.perf_counter()
            self._intervals.append((progress.phase, progress.epoch, now - self._last))
            self._last = now
        self.on_progress(progress)

    def get_seconds(self, phase: str, epoch: int) -> list[float]:
        """Return, for each event of a phase and epoch, the seconds since the event before it."""
        return [seconds for name, number, seconds in self._intervals if (name, number) == (phase, epoch)]


def fit_rate(tokens: Sequence[int], seconds: Sequence[float]) -> Rate:
    """Return the least-squares rate for batches of these sizes, with no part below zero.

    Args:
        tokens: of each batch, including padding.
        seconds: that each batch took.
    """
    import numpy as np
    from scipy.optimize import nnls

    (batch_seconds, token_seconds), _ = nnls(np.array([[1.0, number] for number in tokens]), np.array(seconds))
    return Rate(batch_seconds=float(batch_seconds), token_seconds=float(token_seconds))
