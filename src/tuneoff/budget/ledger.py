"""Count the seconds that a process spends on a run, in total and by trial, while the comparison runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tuneoff.budget.probe import Part
from tuneoff.budget.spending import SPENT_FILE, Spent, read_spent, save_json
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener, Tallies
from tuneoff.runtime.progress import OnProgress, Progress

# the phases that are not a trial's, whose own are those of its progress events
STARTING, PREPARING, PLANNING, BETWEEN_TRIALS, REPORTING = (
    "starting",
    "preparing",
    "planning",
    "between trials",
    "report",
)
TEST_PHASES = {"evaluation", "predictions", "inference"}  # of a confirmed trial, after its training
WRITE_INTERVAL_SECONDS = 10.0  # a process that is killed leaves at most about this much uncounted


class Ledger:
    """The seconds spent on a run by this process, added to those of earlier processes.

    Every second belongs to a phase: that of the last progress event of a running trial, or one that the caller begins.

    Args:
        start: when the work of this process began, in seconds of the monotonic clock; by default now.
        imported: when it began to prepare the run, after its imports; by default at the start.
    """

    def __init__(self, run: Path, start: float | None = None, imported: float | None = None) -> None:
        self.run, self._file = run, run / SPENT_FILE
        earlier = read_spent(run)
        self._earlier_seconds, self._start = earlier.seconds, time.monotonic() if start is None else start
        self._trials = {id: dict(parts) for id, parts in earlier.trials.items()}
        self._phases, self._phase = dict(earlier.phases), STARTING
        self._running: dict[str, Part] = {}  # by trial id
        self._last_count = self._last_write = self._start
        self._count(self._start if imported is None else imported)
        self._phase = PREPARING

    @property
    def seconds(self) -> float:
        """The seconds spent so far by all processes."""
        return self._earlier_seconds + time.monotonic() - self._start

    def get_trial_seconds(self, trial: Trial) -> float:
        """Return the seconds spent on one trial so far."""
        return sum(self._trials.get(trial.id, {}).values())

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Write the seconds when the block ends, also after an error."""
        try:
            yield
        finally:
            self.write()

    def write(self) -> None:
        """Write the seconds spent so far."""
        self._count()
        if not self.run.is_dir():  # moved or removed while the run was working in it
            return
        save_json(Spent(seconds=self.seconds, trials=self._trials, phases=self._phases), self._file)
        self._last_write = time.monotonic()

    def begin_phase(self, phase: str) -> None:
        """Count the seconds from now on for this phase."""
        self._count()
        self._phase = phase

    def begin_trial(self, trial: Trial) -> None:
        """Count the seconds from now on for this trial, as for every other one that is running."""
        self.begin_phase("loading")
        self._running[trial.id] = "search" if trial.stage == "search" else "confirm"

    def record_phase(self, trial: Trial, phase: str) -> None:
        """Note the phase of a running trial, so that its test is counted apart from its training."""
        self.begin_phase(phase)
        if self._running.get(trial.id) == "confirm" and phase in TEST_PHASES:
            self._running[trial.id] = "test"
        if self._last_count - self._last_write > WRITE_INTERVAL_SECONDS:
            self.write()

    def end_trial(self, trial: Trial | None = None) -> None:
        """Count no more seconds for a trial; for none at all without one."""
        self._count()
        for id in [trial.id] if trial else list(self._running):
            self._running.pop(id, None)
        if not self._running:
            self.begin_phase(BETWEEN_TRIALS)

    def _count(self, now: float | None = None) -> None:
        """Add the seconds since the last count to the phase that was last begun, and to each running trial."""
        now = time.monotonic() if now is None else now
        seconds, self._last_count = now - self._last_count, now
        self._phases[self._phase] = self._phases.get(self._phase, 0.0) + seconds
        for id, part in self._running.items():
            parts = self._trials.setdefault(id, {})
            parts[part] = parts.get(part, 0.0) + seconds


class MeteredListener:
    """Passes every event on to another listener, and has a ledger count the seconds of trials."""

    def __init__(self, listener: Listener, ledger: Ledger) -> None:
        self._listener, self._ledger = listener, ledger

    def on_probe(self, label: str) -> OnProgress:
        return self._listener.on_probe(label)

    def on_message(self, text: str) -> None:
        self._listener.on_message(text)

    def on_start(self, tallies: Tallies) -> None:
        self._listener.on_start(tallies)

    def on_trial_start(self, trial: Trial) -> OnProgress:
        self._ledger.begin_trial(trial)
        on_progress = self._listener.on_trial_start(trial)

        def count_and_pass_on(progress: Progress) -> None:
            self._ledger.record_phase(trial, progress.phase)
            on_progress(progress)

        return count_and_pass_on

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self._ledger.end_trial(record.trial)
        self._listener.on_trial_end(record, tallies)
