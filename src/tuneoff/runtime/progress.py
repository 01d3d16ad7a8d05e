"""How long work says where it is. Who listens (a terminal, a log, nobody) is decided by the caller."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A moment of one trial."""

    phase: str  # "loading", "training", "validation", "evaluation", "predictions", "inference"
    done: int = 0
    of: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None  # nats per scored token
    tokens_per_second: float | None = None  # real tokens, in training


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """A listener that does not listen."""
