"""Progress events. Long-running work emits them; its caller chooses the listener: a terminal, a log or none."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of one trial at one moment."""

    # "loading", "start", "trunk", "validation", "dry run", "training", "saving", "evaluation", "predictions",
    # "benchmarks" or "inference". The first event of each comes when it begins, with nothing done
    phase: str
    done: int = 0
    of: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None  # nats per target token
    tokens_per_second: float | None = None  # training only; padding is not counted


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Do nothing; the listener for work without one."""
