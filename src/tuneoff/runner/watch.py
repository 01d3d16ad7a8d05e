"""Who follows a comparison: a terminal, a log, a ledger, nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runtime.progress import Tell, tell_nobody


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
