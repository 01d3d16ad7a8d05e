"""Have the missing trials of a comparison run by workers: open those that may run, and collect their records.

The plan and the records are all that decides. A comparison that is killed loses nothing: its workers go on with what is
open, and the same command opens the rest.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
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
from tuneoff.runs.leases import STALE_SECONDS, Lease, Watcher, keep_beating
from tuneoff.runs.reading import read_record
from tuneoff.runs.work_folder import DRIVER, Session, WorkFolder
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.interrupts import StopRequest

POLL_SECONDS = 0.2  # between two looks for new records
REPLAN_SECONDS = 5.0  # between two looks at what the budget still allows, without a new record
WINDOW = 64  # open trials that nobody has begun, besides two for each worker


def run_open(
    recipe: Recipe,
    preparation: Preparation,
    directory: RunDirectory,
    listener: Listener,
    *,
    lease: Lease,
    check_workers: Callable[[], None],
    fits_budget: Callable[[Trial], bool] = lambda _: True,
    stop: StopRequest | None = None,
) -> None:
    """Have the records that are missing written by workers. Which those are follows from each record.

    The arguments and errors are those of `run_missing`, and:

    Args:
        lease: of this comparison, from `lead`.
        check_workers: raises if no worker runs any more.

    Raises:
        RunError: no worker runs, or another comparison has taken this run over.
    """
    known = {record.trial.id: record for record in directory.read_records()}
    planner = Planner(recipe, preparation.setting, known, preparation.text.summary.train_samples)
    directory.remove_checkpoints(planner.take_needless_checkpoints())
    board = Board(directory, listener, fits_budget)
    board.clear_finished()
    listener.on_start(planner.tally_stages())
    stop = stop or StopRequest()
    try:
        while board.open(planner):
            _require_ours(lease, directory.path)
            stop.raise_if_requested()
            if not board.collect(planner):
                check_workers()
                time.sleep(POLL_SECONDS)
    finally:
        if lease.is_ours():
            board.close_all()


@final
class Board:
    """The open trials of a run, as a comparison sees them."""

    def __init__(self, directory: RunDirectory, listener: Listener, fits_budget: Callable[[Trial], bool]) -> None:
        self._directory, self._listener, self._fits_budget = directory, listener, fits_budget
        self._work = WorkFolder(directory.path)
        self._watcher = Watcher(self._work.leases)
        self._opened: dict[str, Trial] = {}
        self._started: dict[str, OnProgress] = {}
        self._planned_at = float("-inf")

    def clear_finished(self) -> None:
        """Clear away what a comparison left that ended between a record and its closing."""
        for id in self._watcher.list_attempts():
            if id != DRIVER and self._work.has_record(id):
                self._work.close(id)

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
        finished = [trial for id, trial in self._opened.items() if self._work.has_record(id)]
        for trial in finished:
            record = read_record(self._directory.get_trial_folder(trial))
            # what is long is on disk, and no plan reads it
            planner.add(record.model_copy(update={"predictions": (), "benchmarks": ()}))
            self._work.close(trial.id)
            self._directory.remove_checkpoints(planner.take_needless_checkpoints(trial.label))
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
def lead(directory: RunDirectory, session: Session, launcher: Launcher, stop: StopRequest) -> Iterator[Lease]:
    """Lead the workers of a run while the block runs: tell them what they need, start them, and end them.

    What is left open after an error stays, with its checkpoints; after the block there is nothing left.

    Raises:
        RunError: another comparison leads them.
    """
    work = WorkFolder(directory.path)
    lease = _claim_lead(work, stop)

    def look() -> None:
        if not lease.is_ours():
            stop.request(f"another `tuneoff compare` has taken {directory.path} over")

    try:
        with keep_beating(lease, look):
            work.write_session(session)
            launcher.start(directory.path)
            try:
                yield lease
            finally:
                launcher.stop()
        if lease.is_ours():
            lease.release()
            work.remove()
    finally:
        lease.release()
        lease.close()


def _claim_lead(work: WorkFolder, stop: StopRequest) -> Lease:
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
                f"{work.run} is in use by process {content.get('pid')} on {content.get('host')}, which leads its "
                "workers. Wait for it, stop it, or name another run directory with --run."
            )
        time.sleep(min(1.0, STALE_SECONDS / 10))  # it may be dead: wait and see


def _require_ours(lease: Lease, run: Path) -> None:
    if not lease.is_ours():
        raise RunError(f"Another `tuneoff compare` has taken {run} over, so this one stopped.")
