"""How long work says where it is. Who listens (a terminal, a log, nobody) is decided by the caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tuneoff.records.trial import Record, Trial


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


Tell = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How much of a stage is done."""

    done: int
    of: int


Tallies = Mapping[str, Tally]  # by stage: "search", "confirm" (trainings), "test" (the test split opened)


class Watch(Protocol):
    """Whoever follows a comparison."""

    def probing(self, label: str) -> Tell:
        """A method is measured before the comparison begins; its moments go to what is returned."""

    def says(self, text: str) -> None:
        """There is something to know before the start."""

    def begin(self, tallies: Tallies) -> None:
        """The comparison begins, or goes on."""

    def trial(self, trial: Trial) -> Tell:
        """A trial begins; its moments go to what is returned."""

    def end(self, record: Record, tallies: Tallies) -> None:
        """A trial came to its end."""


class Silence:
    """For callers that do not watch."""

    def probing(self, label: str) -> Tell:
        return tell_nobody

    def says(self, text: str) -> None:
        """Not here."""

    def begin(self, tallies: Tallies) -> None:
        """Says nothing."""

    def trial(self, trial: Trial) -> Tell:
        return tell_nobody

    def end(self, record: Record, tallies: Tallies) -> None:
        """Says nothing."""


def tell_nobody(_: Progress) -> None:
    """A listener that does not listen."""
