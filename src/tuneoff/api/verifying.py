"""Check the files of a run or sweep that is kept, without changing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuneoff.api.sweeps import VALUES, is_sweep
from tuneoff.budget.spending import FIT_FILE, PROBE_FILE, SPENT_FILE, Spent, read_spending
from tuneoff.errors import RunError
from tuneoff.runs.layout import SET_ASIDE, SHARE, TRIALS, WORK, has_recipe, list_recorded_trials
from tuneoff.runs.verify import Problem, find_problems


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a check of a run found."""

    trials: int  # finished
    files: int
    problems: tuple[Problem, ...]


def verify(run: str | Path) -> Verification:
    """Read every file of a run or sweep against its checksum and its identity. Nothing is changed.

    Raises:
        RunError: this is not a run directory.
    """
    root = Path(run)
    runs = sorted((root / VALUES).glob("*")) if is_sweep(root) else [root]
    if not is_sweep(root) and not has_recipe(root):
        raise RunError(f"{root} is not a run directory: it has no recipe.yaml.")
    return Verification(
        trials=sum(len(list_recorded_trials(path)) for path in runs),
        files=sum(entry.is_file() for path in runs for entry in path.rglob("*")),
        problems=tuple(problem for path in runs for problem in _verify_run(path)),
    )


def _verify_run(path: Path) -> Iterator[Problem]:
    yield from find_problems(path, also_known=frozenset({PROBE_FILE, FIT_FILE, SPENT_FILE}))
    try:
        yield from _find_lost_trials(path, read_spending(path).spent)
    except RunError as error:
        yield Problem(kind="damaged", file=path, reason=str(error))
    yield from _verify_checkpoints(path)


def _find_lost_trials(path: Path, spent: Spent) -> Iterator[Problem]:
    """Yield the trials on which time was spent and of which nothing is left, not even set aside."""
    if (path / SHARE).exists():  # what is unfinished is at the URL
        return
    left = {entry.name for entry in (path / TRIALS).glob("*")}
    left |= {entry.name.partition("-")[0] for entry in (path / SET_ASIDE).glob("*")}
    left |= {entry.name.partition(".")[0] for entry in (path / WORK).rglob("*")}  # of workers, as ID.ATTEMPT.TOKEN
    for id in sorted(spent.trials.keys() - left):
        yield Problem(kind="missing", file=path / TRIALS / id, reason=f"{SPENT_FILE} counts the seconds of this trial")


def _verify_checkpoints(path: Path) -> Iterator[Problem]:
    files = sorted((path / TRIALS).glob("*/checkpoint.safetensors"))
    if not files:
        return
    from tuneoff.training.checkpoint import UNUSABLE, load_checkpoint

    for file in files:
        try:
            load_checkpoint(file, file.parent.name)
        except UNUSABLE as error:
            yield Problem(kind="damaged", file=file, reason=str(error))
