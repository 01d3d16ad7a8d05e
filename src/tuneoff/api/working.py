"""Work on a comparison that another process leads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tuneoff.api.inputs import open_listener
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.deciding import DecidedListener, DecisionWatch
from tuneoff.runner.listener import Listener, SilentListener
from tuneoff.runner.live import LiveListener
from tuneoff.runs.integrity import require_self_contained
from tuneoff.runs.live import live_log
from tuneoff.runs.share_url import is_url, read_url
from tuneoff.runs.shared_work import open_shared_work
from tuneoff.runs.work import Work
from tuneoff.runs.work_folder import WorkFolder
from tuneoff.system.interrupts import StopRequest, stop_on_signals


def work(run: str | Path, *, listener: Listener | None = None, idle_seconds: float | None = None) -> int:
    """Run the open trials of a comparison, one after another, until it opens no more.

    Several workers may do this at the same time, on one machine or on several. They share the folder of the run, or
    the URL that the comparison was given as `share`. Which trials are open is decided by `tuneoff.compare` with
    `workers` or an engine. It may be killed meanwhile: workers finish what is open.

    Args:
        run: the run directory, or the URL.
        listener: receives progress events, as in `tuneoff.compare`.
        idle_seconds: with nothing to do, after which this returns; None: it waits for the comparison.

    Returns:
        How many trials this worker finished.

    Raises:
        RunError: nothing was opened, this machine is unlike the others, so that its records could not be ranked, or the
            store at the URL fails. The running trial keeps its last checkpoint.
        KeyboardInterrupt: it was stopped. The running trial keeps its checkpoint, and others may go on with it.
    """
    import torch

    from tuneoff.runner.prepare import prepare
    from tuneoff.runner.worker import Worker

    place, stop = open_place(str(run)), StopRequest()
    session = place.read_session()
    announce = not isinstance(listener, SilentListener)
    with open_listener(listener) as active_listener, stop_on_signals(stop, announce=announce):
        if session.threads:
            torch.set_num_threads(session.threads)
        preparation = prepare(Recipe.read(session.recipe))
        place.take_decisions()
        with _write_live(place, active_listener) as live:
            listening = DecidedListener(live, place.home, DecisionWatch(place.home))
            return Worker(preparation, place, session, stop, listening, idle_seconds).run()


@contextlib.contextmanager
def _write_live(place: Work, listener: Listener) -> Iterator[Listener]:
    """Yield a listener that writes into the live log, if the comparison sees it. Otherwise it writes one itself."""
    if place.shared_folder is None:
        yield listener
        return
    with live_log(place.home) as log:
        yield LiveListener(listener, log)


def open_place(run: str) -> Work:
    """Return the work of a run directory or at a URL.

    Raises:
        RunError: there is none.
    """
    if is_url(run):
        return open_shared_work(read_url(run))
    path = Path(run)
    if not path.is_dir():
        raise RunError(
            f"{path} is not there. On another machine, the folder must be shared under this path; without a shared "
            "folder, see `tuneoff compare --share`."
        )
    require_self_contained(path)
    return WorkFolder(path)
