"""What a run was predicted to cost, and what it has cost so far: beside its records, and no part of them.

RUN/probe.json  what a probe measured
RUN/fit.json    what its recipe was cut to, so as to fit its budget
RUN/spent.json  seconds, over all processes that worked on the run, and of every trial
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tuneoff.budget.probe import Part
from tuneoff.budget.spending import SPENT_FILE, Spent, _read_options, save_options
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener, Tallies
from tuneoff.runtime.progress import OnProgress, Progress

TEST_PHASES = {"evaluation", "predictions", "inference"}  # phases of a confirmed trial's second part
WRITE_INTERVAL_SECONDS = 10.0  # seconds that a process which is killed may leave uncounted


class Ledger:
    """Counts what this process spends on a run, on top of what others did before. Its clock runs from the start."""

    def __init__(self, run: Path) -> None:
        self.run, self._file = run, run / SPENT_FILE
        before = _read_options(Spent, self._file) or Spent()
        self._before, self._start = before.seconds, time.perf_counter()
        self._trials = {id: dict(parts) for id, parts in before.trials.items()}
        self._running: tuple[str, Part] | None = None
        self._last = self._written = self._start

    @property
    def seconds(self) -> float:
        """Spent so far, by all processes."""
        return self._before + time.perf_counter() - self._start

    def get_trial_seconds(self, trial: Trial) -> float:
        """Spent on one trial so far."""
        return sum(self._trials.get(trial.id, {}).values())

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Write it down at the end of the block, however it ends."""
        try:
            yield
        finally:
            self._count()
            self.write()

    def write(self) -> None:
        """Write it down as it is now."""
        save_options(Spent(seconds=self.seconds, trials=self._trials), self._file)
        self._written = time.perf_counter()

    def begin_trial(self, trial: Trial) -> None:
        """What is spent from now on is this trial's."""
        self._count()
        self._running = (trial.id, "search" if trial.stage == "search" else "confirm")

    def record_phase(self, phase: str) -> None:
        """Where the trial is."""
        if self._running and self._running[1] == "confirm" and phase in TEST_PHASES:
            self._running = (self._running[0], "test")
        self._count()
        if self._last - self._written > WRITE_INTERVAL_SECONDS:
            self.write()

    def end_trial(self) -> None:
        """The trial is over."""
        self._count()
        self._running = None

    def _count(self) -> None:
        now = time.perf_counter()
        if self._running:
            id, part = self._running
            parts = self._trials.setdefault(id, {})
            parts[part] = parts.get(part, 0.0) + now - self._last
        self._last = now


class MeteredListener:
    """A watch that has a ledger hear all that it hears itself."""

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

        def heard(progress: Progress) -> None:
            self._ledger.record_phase(progress.phase)
            on_progress(progress)

        return heard

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self._ledger.end_trial()
        self._listener.on_trial_end(record, tallies)
