"""The events of a comparison, and the protocol for objects that receive them: a terminal, a log, a ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runtime.progress import OnProgress, ignore_progress


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many trials of a stage are done, and how many there are.

    `is_most`: there may be fewer, because a method that is decided needs no further trial.
    """

    done: int
    of: int
    is_most: bool = False


Tallies = Mapping[str, Tally]  # by stage: "search", "confirm" (trainings), "test" (evaluations on the test split)


class Listener(Protocol):
    """Receives the events of a comparison."""

    def on_probe(self, label: str) -> OnProgress:
        """A method is being probed. Its progress events go to the returned function."""

    def on_message(self, text: str) -> None:
        """There is a message for the user before the comparison starts."""

    def on_start(self, tallies: Tallies) -> None:
        """The comparison starts or resumes."""

    def on_trial_start(self, trial: Trial) -> OnProgress:
        """A trial starts. Its progress events go to the returned function."""

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        """A trial ended with this record."""


class SilentListener:
    """Ignores every event."""

    def on_probe(self, label: str) -> OnProgress:
        return ignore_progress

    def on_message(self, text: str) -> None:
        pass

    def on_start(self, tallies: Tallies) -> None:
        pass

    def on_trial_start(self, trial: Trial) -> OnProgress:
        return ignore_progress

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        pass
