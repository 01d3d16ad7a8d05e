"""Who runs the trials of a comparison: this process, or workers that an engine starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tuneoff.config.data import DataOptions
from tuneoff.engines import Engine, read_engine
from tuneoff.engines.engine import read_threads
from tuneoff.errors import RunError
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.runs import RunDirectory
from tuneoff.runs.reading import read_first_setting
from tuneoff.runs.share_url import read_url
from tuneoff.system.interrupts import StopRequest

if TYPE_CHECKING:
    from tuneoff.runner.prepare import Preparation
    from tuneoff.runs.work import Work


class RunTrials(Protocol):
    """Runs the trials that a recipe is missing, as `tuneoff.runner.local_engine.run_missing`."""

    def __call__(self, *arguments: Any, **options: Any) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who runs the trials, and with what."""

    engine: Engine | None = None  # None: this process
    threads: int | None = None  # of a trial on a CPU; None: those of the run, else of the engine
    exclusive: bool = False
    share: str | None = None  # the URL through which it agrees with its workers; None: the run directory


def choose_crew(
    workers: int | None,
    engine: str | Engine,
    threads: int | None,
    *,
    exclusive: bool = False,
    share: str | None = None,
) -> Crew:
    """Return who runs the trials.

    Raises:
        RunError: the options do not fit each other.
    """
    if threads is not None and threads < 1:
        raise RunError(f"{threads} threads are none. Write 1 or more.")
    if isinstance(engine, Engine):
        chosen = engine if workers is None else engine.model_copy(update={"workers": workers})
    elif engine == "local" and workers is None:
        if exclusive:
            raise RunError("exclusive is for several workers: one process runs its trials one after another anyway.")
        if share:
            raise RunError(
                "share is for workers, and one process needs none. Add --engine manual, and run `tuneoff work URL` on "
                "other machines; or --workers."
            )
        return Crew(threads=threads)
    else:
        chosen = read_engine(engine, {"workers": workers})
    return Crew(engine=chosen, threads=threads, exclusive=exclusive, share=read_url(share) if share else None)


def build_engine(name: str, *options: str) -> Engine:
    """Return an engine with options as `key=value`, whose values are YAML.

    Raises:
        RunError, RecipeError: there is no such engine or option.
    """
    return read_engine(name, apply_overrides({}, options))


@contextlib.contextmanager
def use_threads(crew: Crew, directory: RunDirectory) -> Iterator[None]:
    """Use the CPU threads of the crew while the block runs, so that its setting is that of its workers.

    A run that has begun keeps its threads, unless they are given, here or as OMP_NUM_THREADS.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(_choose_threads(crew, directory) or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _choose_threads(crew: Crew, directory: RunDirectory) -> int | None:
    if crew.threads or os.environ.get("OMP_NUM_THREADS"):
        return crew.threads
    setting = read_first_setting(directory.path)
    begun = read_threads(setting.device) if setting else None
    return begun or (crew.engine.choose_threads() if crew.engine else None)


@contextlib.contextmanager
def open_engine(
    crew: Crew,
    recipe: Recipe,
    data_now: DataOptions,
    preparation: Preparation,
    directory: RunDirectory,
    stop: StopRequest,
) -> Iterator[RunTrials]:
    """Yield what runs the trials, with the workers of an engine for the time of the block.

    Args:
        recipe: of the run, with all that its records rest on.
        data_now: the data where they are now, which may not be where the run began.
    """
    from tuneoff.runner.driver import lead, run_open
    from tuneoff.runner.local_engine import run_missing
    from tuneoff.runs.work import Session

    if crew.engine is None:
        yield run_missing
        return
    import torch

    on_gpu = preparation.device.type == "cuda"
    threads = None if on_gpu else torch.get_num_threads()
    launcher = crew.engine.build(on_gpu=on_gpu, threads=threads, devices=recipe.training.devices)
    told = recipe.model_copy(update={"data": data_now}).set_date(recipe.data.date)
    session = Session(
        recipe=told.to_dict(), threads=threads, elsewhere=bool(preparation.elsewhere), exclusive=crew.exclusive
    )
    work = _open_work(crew, directory)
    with lead(work, session, launcher, stop) as lease:
        yield partial(run_open, work=work, lease=lease, check_workers=launcher.check)


def _open_work(crew: Crew, directory: RunDirectory) -> Work:
    """Return what a comparison and its workers agree on."""
    from tuneoff.runs.shared_work import open_shared_work
    from tuneoff.runs.work_folder import WorkFolder

    return open_shared_work(crew.share, directory.path) if crew.share else WorkFolder(directory.path)
