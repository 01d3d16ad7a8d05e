"""Carry out what people decide about a run while it goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import final

from tuneoff.errors import TuneoffError
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener, Tallies
from tuneoff.runs.decisions import FILE, list_dropped, list_stopped, read_decisions
from tuneoff.runtime.progress import OnProgress, Progress

CHECK_SECONDS = 1.0  # between two looks at the file, within a trial


class DecidedError(TuneoffError):
    """Someone decided that a trial ends. Its record has this as the reason."""


@final
class DecisionWatch:
    """Notices decisions that were made since it began."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self.decisions = read_decisions(run)
        self._plan = self._list_planning()

    def has_new_plan(self) -> bool:
        """Return whether what is to be run has changed: a method was left out, or the budget extended."""
        self.decisions = read_decisions(self._run)
        return self._list_planning() != self._plan

    def require_to_go_on(self, trial: Trial) -> None:
        """Check that nobody stopped the trial or left its method out.

        Raises:
            DecidedError: somebody did.
        """
        self.decisions = read_decisions(self._run)
        if decision := list_stopped(self.decisions).get(trial.id):
            raise DecidedError(f"stopped {decision.describe()}")
        if decision := list_dropped(self.decisions).get(trial.label):
            raise DecidedError(f"its method was left out {decision.describe()}")

    def _list_planning(self) -> list[object]:
        return [decision for decision in self.decisions if decision.kind in {"drop-method", "extend-budget"}]


@final
class DecidedListener:
    """Passes every event on to another listener, and ends a trial that somebody decided to end."""

    def __init__(self, listener: Listener, run: Path, watch: DecisionWatch) -> None:
        self._listener, self._file, self._watch = listener, run / FILE, watch

    def on_probe(self, label: str) -> OnProgress:
        return self._listener.on_probe(label)

    def on_message(self, text: str) -> None:
        self._listener.on_message(text)

    def on_start(self, tallies: Tallies) -> None:
        self._listener.on_start(tallies)

    def on_trial_start(self, trial: Trial) -> OnProgress:
        on_progress = self._listener.on_trial_start(trial)
        checked = 0.0

        def check_and_pass_on(progress: Progress) -> None:
            nonlocal checked
            now = time.monotonic()
            if now - checked >= CHECK_SECONDS and self._file.exists():
                checked = now
                self._watch.require_to_go_on(trial)
            on_progress(progress)

        return check_and_pass_on

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self._listener.on_trial_end(record, tallies)
