"""Tell tracking tools about a run: once, or as it goes on."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.api.comparisons import load_comparison
from tuneoff.api.sweeps import VALUES, is_sweep
from tuneoff.config.tracking import TRACKER_NAMES, TrackerName
from tuneoff.errors import RunError, suggest
from tuneoff.runs.layout import RECORD, list_recorded_trials
from tuneoff.runs.reading import read_recipe, read_record

if TYPE_CHECKING:
    from tuneoff.records.record import Record
    from tuneoff.tracking.telling import Told

POLL_SECONDS = 2.0


def track(
    run: str | Path,
    to: Sequence[str],
    *,
    offline: bool = False,
    folder: str | Path | None = None,
    with_text: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    is_over: Callable[[], bool] = lambda: True,
) -> list[Told]:
    """Tell tracking tools about a run: each trial is a run of the tool, and so is the comparison with its verdict.

    Telling the same trial twice adds nothing. A tool that fails is told nothing more, and the others are.

    Args:
        to: the tools.
        offline: send nothing; what a tool would send is kept on this machine, as far as the tool can.
        folder: for what tools write on this machine; by default `trackers` beside the run directory.
        with_text: also tell test examples and predictions.
        warn: called once for each tool that fails.
        is_over: whether the run goes on no more. Until then, trials are told as they end.

    Raises:
        RunError: there is no such tool, or this is not a run directory.
    """
    from tuneoff.report.page import write_report
    from tuneoff.tracking.content import describe_comparison, describe_trial
    from tuneoff.tracking.telling import identify_group, make_tellers

    path, names = Path(run), [_read_name(name) for name in to]
    group = identify_group(path, read_recipe(path).name)
    tellers = make_tellers(names, Path(folder) if folder else choose_folder(path), warn, offline=offline)
    told: dict[Path, tuple[int, int]] = {}
    over = False
    while not over:
        over = is_over()  # before the records are read: those of this moment are the last
        for record in _read_new(path, told):
            for teller in tellers:
                teller.tell(describe_trial(record, group, with_text=with_text))
        if not over:
            time.sleep(POLL_SECONDS)
    if told:
        comparison = load_comparison(path)
        with tempfile.TemporaryDirectory() as pages:
            files = [write_report(comparison, pages, with_text=with_text)]
            for teller in tellers:
                teller.tell(describe_comparison(comparison, group, files))
    return [teller.close() for teller in tellers]


def choose_folder(run: Path) -> Path:
    """Return the folder for what tools write on this machine: `trackers` beside the run, or beside its sweep."""
    parent = run.resolve().parent
    return (parent.parent.parent if parent.name == VALUES and is_sweep(parent.parent) else parent) / "trackers"


def _read_new(run: Path, told: dict[Path, tuple[int, int]]) -> Iterator[Record]:
    """Yield the records that were written since the last call, and note them in `told` by time and size."""
    for folder in list_recorded_trials(run):
        status = (folder / RECORD).stat()
        state = status.st_mtime_ns, status.st_size
        if told.get(folder) != state:
            with contextlib.suppress(RunError):  # being written at this moment; a damaged one is named at the end
                yield read_record(folder)
                told[folder] = state


def _read_name(name: str) -> TrackerName:
    for known in TRACKER_NAMES:
        if known == name:
            return known
    raise RunError(f"There is no tracking tool {name!r}.{suggest(name, TRACKER_NAMES)}")
