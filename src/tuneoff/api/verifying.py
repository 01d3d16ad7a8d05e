"""Check the files of a run or sweep that is kept, without changing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuneoff.api.sweeps import VALUES, is_sweep
from tuneoff.budget.spending import FIT_FILE, PROBE_FILE, SPENT_FILE, read_spending
from tuneoff.errors import RunError
from tuneoff.runs.layout import TRIALS, has_recipe, list_recorded_trials
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
        read_spending(path)
    except RunError as error:
        yield Problem(kind="damaged", file=path, reason=str(error))
    yield from _verify_checkpoints(path)


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
