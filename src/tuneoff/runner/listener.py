"""Who follows a comparison: a terminal, a log, a ledger, nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runtime.progress import OnProgress, ignore_progress


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How much of a stage is done."""

    done: int
    of: int


Tallies = Mapping[str, Tally]  # by stage: "search", "confirm" (trainings), "test" (the test split opened)


class Listener(Protocol):
    """Whoever follows a comparison."""

    def on_probe(self, label: str) -> OnProgress:
        """A method is measured before the comparison begins; its moments go to what is returned."""

    def on_message(self, text: str) -> None:
        """There is something to know before the start."""

    def on_start(self, tallies: Tallies) -> None:
        """The comparison begins, or goes on."""

    def on_trial_start(self, trial: Trial) -> OnProgress:
        """A trial begins; its moments go to what is returned."""

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        """A trial came to its end."""


class SilentListener:
    """For callers that do not watch."""

    def on_probe(self, label: str) -> OnProgress:
        return ignore_progress

    def on_message(self, text: str) -> None:
        """Not here."""

    def on_start(self, tallies: Tallies) -> None:
        """Says nothing."""

    def on_trial_start(self, trial: Trial) -> OnProgress:
        return ignore_progress

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        """Says nothing."""
