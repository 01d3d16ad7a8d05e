"""A worker: it claims one open trial of a comparison after another, runs it, and publishes its record.

It never decides what is open; `tuneoff.runner.driver` does. `tuneoff.runs.work` says how they agree.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import random
import shutil
import time
from typing import Any, final

from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.attempt import run_attempt
from tuneoff.runner.listener import Listener
from tuneoff.runner.prepare import Preparation
from tuneoff.runs.compatibility import adopt_setting_of_run
from tuneoff.runs.leases import Lease, Watcher, keep_beating
from tuneoff.runs.store import StoreError
from tuneoff.runs.work import DRIVER, Session, Work
from tuneoff.runtime.progress import Progress
from tuneoff.system.interrupts import Stopped, StopRequest

POLL_SECONDS = 0.5  # between two looks at what is open, while there is nothing to do
CLOSED, FENCED = "the comparison closed the trial", "another worker has the trial"


@final
class Worker:
    """Runs the open trials of a run, one after another.

    Args:
        preparation: of the recipe of the session, on this machine.
        stop: ends the worker. The running trial keeps its checkpoint, and others may go on with it at once.
        idle_seconds: with nothing to do, after which the worker ends; None: it waits for the comparison.
    """

    def __init__(
        self,
        preparation: Preparation,
        work: Work,
        session: Session,
        stop: StopRequest,
        listener: Listener,
        idle_seconds: float | None = None,
    ) -> None:
        self._own, self._adopted = preparation, preparation  # as this machine has it, and with the setting of the run
        self._work, self._session, self._stop, self._listener = work, session, stop, listener
        self._idle_seconds, self._idle_since = idle_seconds, time.monotonic()
        self._watcher = Watcher(work.leases)

    def run(self) -> int:
        """Work until nothing is open and no comparison may open anything. Return how many records were published.

        Raises:
            RunError: this machine is unlike the one that the run is made on, or files are of another version.
            StoreError: the store through which the work is shared fails. What was kept of the running trial stays.
            Stopped: `stop` was requested.
        """
        published = 0
        self._work.clear_scratch()
        try:
            while True:
                self._stop.raise_if_requested()
                claimed = self._claim_next()
                if claimed:
                    published += self._run(*claimed)
                    self._idle_since = time.monotonic()
                elif self._may_end():
                    self._work.clear_scratch()
                    return published
                else:
                    time.sleep(max(POLL_SECONDS, self._work.poll_seconds) * random.uniform(0.5, 1.5))
        finally:
            self._own.followers.close()
            gc.unfreeze()

    def _claim_next(self) -> tuple[Trial, str, Lease] | None:
        """Claim the first open trial that nobody works on. Return it with its name in `list_open`."""
        attempts = self._watcher.list_attempts()
        is_taken = self._work.machine.must_give_way(alone=False)
        for id, name in self._work.list_open().items() if not is_taken else ():
            last = attempts.get(id, 0)
            if (last and self._watcher.read(id, last)[0] == "held") or self._work.has_record(id):
                continue
            trial = self._work.read_open(name)
            if trial is None:
                continue
            self._adopt_setting(trial)  # before anything is claimed: an unlike machine must not hold a trial
            lease = self._watcher.claim(id, last)
            if lease is None:
                continue
            if self._work.is_open(name) and not self._work.has_record(id):
                return trial, name, lease
            lease.release()  # it was closed between the look and the claim
            lease.close()
        return None

    def _adopt_setting(self, trial: Trial) -> None:
        if self._adopted.setting is not trial.setting and self._adopted.setting != trial.setting:
            elsewhere = adopt_setting_of_run(
                self._work.address, self._own.setting, trial.setting, elsewhere=self._session.elsewhere
            )
            self._adopted = dataclasses.replace(self._own, setting=trial.setting, elsewhere=elsewhere)

    def _run(self, trial: Trial, name: str, lease: Lease) -> bool:
        """Run a claimed trial. Return whether its record was published."""
        stop = StopRequest(find_reason=self._stop.get_reason)
        alone = self._session.exclusive and trial.stage == "confirm"
        pulse, folder = Pulse(lease, name, self._work, stop), None
        on_progress = self._listener.on_trial_start(trial)

        def note(progress: Progress) -> None:
            pulse.progress = progress
            on_progress(progress)

        try:
            with self._work.machine.note_process(alone=alone), keep_beating(lease, pulse.look):
                if not self._wait_for_room(stop, alone=alone):
                    lease.release()
                    return False
                folder = self._work.begin_attempt(trial.id, lease)
                pulse.most_beside = len(self._work.machine.list_beside())
                with self._work.keep(folder, lease, stop), self._work.lend_previous(trial, folder) as previous:
                    record = run_attempt(trial, self._adopted, folder, previous, note, stop)
                record = _add_beside(record, max(pulse.most_beside, len(self._work.machine.list_beside())))
                is_published = self._work.publish(record, folder, lease)
        except BaseException as error:
            is_fenced = _is_fenced(lease)
            lease.release()
            if is_fenced and folder:
                shutil.rmtree(folder, ignore_errors=True)
            if pulse.lost:
                raise pulse.lost from error
            if (is_fenced and isinstance(error, (Stopped, Exception))) or _is_closed(error):
                return False
            raise
        finally:
            lease.close()
        if is_published:
            self._listener.on_trial_end(record, {})
        return is_published

    def _wait_for_room(self, stop: StopRequest, *, alone: bool) -> bool:
        """Wait until a trial that runs alone has its machine. Return False if this one has to give way."""
        while not self._work.machine.must_give_way(alone=alone):
            if not (alone and self._work.machine.list_beside()):
                return True
            stop.raise_if_requested()
            time.sleep(POLL_SECONDS)
        return False

    def _may_end(self) -> bool:
        """Return whether there is nothing left to do, or there has been nothing for too long."""
        if self._idle_seconds is not None and time.monotonic() - self._idle_since >= self._idle_seconds:
            return True
        last = self._watcher.list_attempts().get(DRIVER, 0)
        if last and self._watcher.read(DRIVER, last)[0] == "held":
            return False
        return all(self._work.has_record(id) for id in self._work.list_open())


@final
class Pulse:
    """What a worker looks at every few seconds: whether the trial is still its own, and what runs beside it."""

    def __init__(self, lease: Lease, name: str, work: Work, stop: StopRequest) -> None:
        self._lease, self._name, self._work, self._stop = lease, name, work, stop
        self.progress = Progress(phase="loading")
        self.most_beside = 0
        self.lost: StoreError | None = None  # why the trial was stopped, if the store of the work did not answer

    def look(self) -> dict[str, Any]:
        """Stop the trial if it is not to run here any more. Return how far it is."""
        try:
            self._look_at_work()
        except StoreError as error:
            self.lost = error
            self._stop.request(str(error))
        self.most_beside = max(self.most_beside, len(self._work.machine.list_beside()))
        return dataclasses.asdict(self.progress)

    def _look_at_work(self) -> None:
        if not self._lease.is_ours():
            self._stop.request(FENCED)
        elif not self._work.is_open(self._name):
            self._stop.request(CLOSED)
        self._work.take_decisions()


def _add_beside(record: Record, beside: int) -> Record:
    if not beside or record.costs is None:
        return record
    return record.model_copy(update={"costs": record.costs.model_copy(update={"beside": beside})})


def _is_fenced(lease: Lease) -> bool:
    """Return whether a lease is certainly not ours any more."""
    with contextlib.suppress(StoreError):
        return not lease.is_ours()
    return False


def _is_closed(error: BaseException) -> bool:
    return isinstance(error, Stopped) and error.reason == CLOSED
