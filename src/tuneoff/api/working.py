"""Work on a comparison that another process leads."""

from __future__ import annotations

from pathlib import Path

from tuneoff.api.inputs import open_listener
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.deciding import DecidedListener, DecisionWatch
from tuneoff.runner.listener import Listener, SilentListener
from tuneoff.runner.live import LiveListener
from tuneoff.runs import RunDirectory
from tuneoff.runs.integrity import require_self_contained
from tuneoff.runs.live import live_log
from tuneoff.runs.work_folder import WorkFolder
from tuneoff.system.interrupts import StopRequest, stop_on_signals


def work(run: str | Path, *, listener: Listener | None = None, idle_seconds: float | None = None) -> int:
    """Run the open trials of a comparison, one after another, until it opens no more.

    Several workers may do this at the same time, on one machine or on several that share the folder of the run. Which
    trials are open is decided by `tuneoff.compare` with `workers` or an engine. It may be killed meanwhile: workers
    finish what is open.

    Args:
        run: the run directory.
        listener: receives progress events, as in `tuneoff.compare`.
        idle_seconds: with nothing to do, after which this returns; None: it waits for the comparison.

    Returns:
        How many trials this worker finished.

    Raises:
        RunError: nothing was opened, or this machine is unlike the others, so that its records could not be ranked.
        KeyboardInterrupt: it was stopped. The running trial keeps its checkpoint, and others may go on with it.
    """
    import torch

    from tuneoff.runner.prepare import prepare
    from tuneoff.runner.worker import Worker

    path, stop = Path(run), StopRequest()
    if not path.is_dir():
        raise RunError(f"{path} is not there. On another machine, the folder must be shared under this path.")
    require_self_contained(path)
    session = WorkFolder(path).read_session()
    announce = not isinstance(listener, SilentListener)
    with open_listener(listener) as active_listener, stop_on_signals(stop, announce=announce):
        if session.threads:
            torch.set_num_threads(session.threads)
        preparation = prepare(Recipe.read(session.recipe))
        with live_log(path) as log:
            listening = DecidedListener(LiveListener(active_listener, log), path, DecisionWatch(path))
            return Worker(preparation, RunDirectory(path), session, stop, listening, idle_seconds).run()
