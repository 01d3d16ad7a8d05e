"""Time the steps of a probe, and fit a rate to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.budget.probe import Rate
from tuneoff.runtime.meter import synchronize
from tuneoff.runtime.progress import OnProgress, Progress

if TYPE_CHECKING:
    import torch


@dataclass
class PhaseTimer:
    """Listens to a trial's moments, and notes when each was."""

    on_progress: OnProgress
    device: torch.device

    def __post_init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: list[tuple[str, int, float]] = []

    def __call__(self, progress: Progress) -> None:
        synchronize(self.device)  # a step's end is still in the queue when it is told of
        now = time.perf_counter()
        self._laps.append((progress.phase, progress.epoch, now - self._last))
        self._last = now
        self.on_progress(progress)

    def laps(self, phase: str, epoch: int) -> list[float]:
        """Seconds from the moment before to each moment of a phase."""
        return [seconds for name, of, seconds in self._laps if (name, of) == (phase, epoch)]


def fit_rate(tokens: Sequence[int], seconds: Sequence[float]) -> Rate:
    """The rate that explains batches of so many tokens best: neither of its parts is below zero."""
    import numpy as np
    from scipy.optimize import nnls

    (fixed, each), _ = nnls(np.array([[1.0, number] for number in tokens]), np.array(seconds))
    return Rate(batch_seconds=float(fixed), token_seconds=float(each))
