"""Have the missing trials of a comparison run by workers: open those that may run, and collect their records.

The plan and the records are all that decides. A comparison that is killed loses nothing: its workers go on with what is
open, and the same command opens the rest.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import final

from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.launcher import Launcher
from tuneoff.runner.listener import Listener
from tuneoff.runner.planner import Planner
from tuneoff.runner.prepare import Preparation
from tuneoff.runs import RunDirectory
from tuneoff.runs.leases import Lease, Watcher, keep_beating
from tuneoff.runs.reading import read_record
from tuneoff.runs.store import StoreError
from tuneoff.runs.work import DRIVER, Session, Work
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.interrupts import StopRequest

POLL_SECONDS = 0.2  # between two looks for new records
REPLAN_SECONDS = 5.0  # between two looks at what the budget still allows, without a new record
WINDOW = 64  # open trials that nobody has begun, besides two for each worker

_LOG = logging.getLogger(__name__)


def run_open(
    recipe: Recipe,
    preparation: Preparation,
    directory: RunDirectory,
    listener: Listener,
    *,
    work: Work,
    lease: Lease,
    check_workers: Callable[[], None],
    fits_budget: Callable[[Trial], bool] = lambda _: True,
    stop: StopRequest | None = None,
) -> None:
    """Have the records that are missing written by workers. Which those are follows from each record.

    The arguments and errors are those of `run_missing`, and:

    Args:
        work: what this comparison and its workers agree on.
        lease: of this comparison, from `lead`.
        check_workers: raises if no worker runs any more.

    Raises:
        RunError: no worker runs, or another comparison has taken this run over.
        StoreError: the store through which the work is shared fails. The same command goes on.
    """
    known = {record.trial.id: record for record in directory.read_records()}
    planner = Planner(recipe, preparation.setting, known, preparation.text.summary.train_samples)
    board = Board(directory, work, listener, fits_budget)
    board.remove_checkpoints(planner.take_needless_checkpoints())
    board.clear_finished()
    listener.on_start(planner.tally_stages())
    stop = stop or StopRequest()
    try:
        while board.open(planner):
            _require_ours(lease, directory.path)
            stop.raise_if_requested()
            if not board.collect(planner):
                check_workers()
                time.sleep(max(POLL_SECONDS, work.poll_seconds))
    finally:
        with contextlib.suppress(StoreError):  # it has ended the block, or workers go on with what is open
            if lease.is_ours():
                board.close_all()


@final
class Board:
    """The open trials of a run, as a comparison sees them."""

    def __init__(
        self, directory: RunDirectory, work: Work, listener: Listener, fits_budget: Callable[[Trial], bool]
    ) -> None:
        self._directory, self._work, self._listener, self._fits_budget = directory, work, listener, fits_budget
        self._watcher = Watcher(work.leases)
        self._opened: dict[str, Trial] = {}
        self._started: dict[str, OnProgress] = {}
        self._planned_at = float("-inf")

    def clear_finished(self) -> None:
        """Clear away what a comparison left that ended between a record and its closing."""
        for id in self._work.collect([id for id in self._watcher.list_attempts() if id != DRIVER]):
            self._work.close(id)

    def remove_checkpoints(self, ids: Collection[str]) -> None:
        """Remove the checkpoints of these trials, from which nothing resumes."""
        self._directory.remove_checkpoints(ids)
        self._work.remove_checkpoints(ids)

    def open(self, planner: Planner) -> bool:
        """Open the trials that may run now, as far as the budget allows. Return whether there are any."""
        if time.monotonic() - self._planned_at >= REPLAN_SECONDS:
            self._planned_at = time.monotonic()
            running, opened, waiting = self._list_running(), [], 0
            for trial in planner.list_open():
                if trial.id not in running:
                    if waiting >= WINDOW + 2 * len(running) or not self._fits_budget(trial):
                        break
                    waiting += 1
                opened.append(trial)
            self._opened = {trial.id: trial for trial in opened}
            self._work.open(opened)
        return bool(self._opened)

    def collect(self, planner: Planner) -> bool:
        """Take the records into account that workers have published. Return whether there were any."""
        self._report_progress()
        self._work.pass_decisions_on()
        finished = [self._opened[id] for id in self._work.collect(self._opened)]
        for trial in finished:
            record = read_record(self._directory.get_trial_folder(trial))
            # what is long is on disk, and no plan reads it
            planner.add(record.model_copy(update={"predictions": (), "benchmarks": ()}))
            self._work.close(trial.id)
            self.remove_checkpoints(planner.take_needless_checkpoints(trial.label))
            if trial.id not in self._started:
                self._listener.on_trial_start(trial)
            self._started.pop(trial.id, None)
            self._listener.on_trial_end(record, planner.tally_stages())
            self._planned_at = float("-inf")
        return bool(finished)

    def close_all(self) -> None:
        """Close every trial. Whoever works on one stops, and leaves a checkpoint."""
        self._work.open(())

    def _list_running(self) -> set[str]:
        """Return the open trials that somebody works on."""
        attempts = self._watcher.list_attempts()
        return {id for id, last in attempts.items() if id != DRIVER and self._watcher.read(id, last)[0] == "held"}

    def _report_progress(self) -> None:
        attempts = self._watcher.list_attempts()
        for id, trial in self._opened.items():
            state, content = self._watcher.read(id, attempts[id]) if id in attempts else ("gone", {})
            if state != "held":
                continue
            if id not in self._started:
                self._started[id] = self._listener.on_trial_start(trial)
            with contextlib.suppress(TypeError):  # of another version
                self._started[id](Progress(**content.get("note", {"phase": "loading"})))


@contextlib.contextmanager
def lead(work: Work, session: Session, launcher: Launcher, stop: StopRequest) -> Iterator[Lease]:
    """Lead the workers of a run while the block runs: tell them what they need, start them, and end them.

    What is left open after an error stays, with its checkpoints; after the block there is nothing left.

    Raises:
        RunError: another comparison leads them, or another run has this place.
        StoreError: the store through which the work is shared fails.
    """
    work.begin()
    lease = _claim_lead(work, stop)

    def look() -> None:
        try:
            is_ours = lease.is_ours()
        except StoreError:
            return  # what the comparison itself does there tells
        if not is_ours:
            stop.request(f"another `tuneoff compare` has taken {work.home} over")

    try:
        with keep_beating(lease, look):
            work.write_session(session)
            launcher.start(work)
            try:
                yield lease
            finally:
                launcher.stop()
        _clear_away(work, lease)
    finally:
        lease.release()
        lease.close()


def _clear_away(work: Work, lease: Lease) -> None:
    try:
        if lease.is_ours():
            lease.release()
            work.remove()
    except StoreError as error:
        _LOG.warning("The run is finished, but what it has at %s could not be removed: %s", work.address, error)


def _claim_lead(work: Work, stop: StopRequest) -> Lease:
    watcher, first_beat = Watcher(work.leases), None
    while True:
        stop.raise_if_requested()
        last = watcher.list_attempts().get(DRIVER, 0)
        state, content = watcher.read(DRIVER, last) if last else ("gone", {})
        if state != "held":
            lease = watcher.claim(DRIVER, last)
            if lease:
                return lease
            continue
        first_beat = content.get("beat") if first_beat is None else first_beat
        if content.get("beat") != first_beat:
            raise RunError(
                f"{work.home} is in use by process {content.get('pid')} on {content.get('host')}, which leads its "
                "workers. Wait for it, stop it, or name another run directory with --run."
            )
        time.sleep(max(work.poll_seconds, min(1.0, work.leases.stale_seconds / 10)))  # it may be dead: wait and see


def _require_ours(lease: Lease, run: Path) -> None:
    if not lease.is_ours():
        raise RunError(f"Another `tuneoff compare` has taken {run} over, so this one stopped.")
