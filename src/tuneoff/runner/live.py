"""A listener that writes what it hears into the run directory, for `tuneoff watch`."""

from __future__ import annotations

import math
import time
from typing import Literal, final

import psutil

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener, Tallies
from tuneoff.runs.live import LiveLog
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.accelerators import find_accelerator, get_reserved_bytes

STEP_SECONDS = (2.0, 30.0)  # between two lines of a trial: at least and at most
STEPS_OF_TRIAL = 200  # lines of a trial, about

Told = Literal["all", "plan", "of others"]


@final
class LiveListener:
    """Passes every event on to another listener, and writes it into the live log.

    Args:
        told: what to write: `all`; only the `plan`, because those who run trials write them; or also the trials `of
            others`, on machines that do not see the run directory.
    """

    def __init__(self, listener: Listener, log: LiveLog, *, told: Told = "all") -> None:
        self._listener, self._log, self._told = listener, log, told

    def on_probe(self, label: str) -> OnProgress:
        self._log.write("probe", label=label)
        return self._listener.on_probe(label)

    def on_message(self, text: str) -> None:
        self._listener.on_message(text)

    def on_start(self, tallies: Tallies) -> None:
        self._log.write("plan", plan=_dump(tallies))
        self._listener.on_start(tallies)

    def on_trial_start(self, trial: Trial) -> OnProgress:
        if self._told == "plan":
            return self._listener.on_trial_start(trial)
        self._log.write(
            "trial", trial=trial.id, label=trial.label, stage=trial.stage, seed=trial.seed, share=trial.rungs[-1]
        )
        on_progress = self._listener.on_trial_start(trial)
        start = written = time.monotonic()
        phase = ""

        def write_and_pass_on(progress: Progress) -> None:
            nonlocal written, phase
            now = time.monotonic()
            low, high = STEP_SECONDS
            if progress.phase != phase or now - written >= min(high, max(low, (now - start) / STEPS_OF_TRIAL)):
                written, phase = now, progress.phase
                self._write_step(trial, progress)
            on_progress(progress)

        return write_and_pass_on

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        if self._told != "plan":
            self._log.write("end", trial=record.trial.id, label=record.trial.label, status=record.status)
        if tallies:  # which a worker does not know
            self._log.write("plan", plan=_dump(tallies))
        self._listener.on_trial_end(record, tallies)

    def _write_step(self, trial: Trial, progress: Progress) -> None:
        self._log.write(
            "step",
            trial=trial.id,
            phase=progress.phase,
            done=progress.done,
            of=progress.of,
            epoch=progress.epoch,
            epochs=progress.epochs,
            loss=progress.loss if progress.loss is not None and math.isfinite(progress.loss) else None,
            tokens_per_second=progress.tokens_per_second,
            memory_bytes=_measure_memory() if self._told == "all" else None,
        )


def _measure_memory() -> int:
    """Return the bytes in use now: on a GPU those that PyTorch reserved, else those resident."""
    if (device := find_accelerator()) is not None:
        return get_reserved_bytes(device)
    return int(psutil.Process().memory_info().rss)


def _dump(tallies: Tallies) -> dict[str, dict[str, object]]:
    return {stage: {"done": t.done, "of": t.of, "is_most": t.is_most} for stage, t in tallies.items()}
