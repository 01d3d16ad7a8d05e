"""Where the seconds of a run went, by phase."""

from __future__ import annotations

from dataclasses import dataclass

from tuneoff.budget.ledger import REPORTING
from tuneoff.budget.spending import Spent
from tuneoff.report.format import format_seconds

# what the phases are called for a reader; those with the same title are one line
TITLES = {
    "starting": "starting the processes, importing libraries",
    "preparing": "reading data, splits and model, checking which methods fit",
    "planning": "planning, a budget's probe",
    "loading": "loading the base model and applying the method, per trial",
    "start": "reading rows of train for the first values, for methods that need them",
    "trunk": "computing frozen layers once, for methods that train above them",
    "validation": "validation",
    "dry run": "a pass before the first step, which finds the largest micro-batch",
    "training": "training steps, checkpoints",
    "saving": "saving what was trained",
    "evaluation": "losses on the test split, on a part of train and on unrelated text",
    "predictions": "generating answers",
    "benchmarks": "benchmarks",
    "inference": "timing inference against the base model",
    "between trials": "between trials: records, checksums, planning",
}
MIN_SECONDS = 0.05  # shorter ones round to nothing
NOT_COUNTED = "not counted by phase, by an older version"


@dataclass(frozen=True, kw_only=True)
class PhaseLine:
    """A line of the table: what was done, how long it took, and its share of the run."""

    title: str
    seconds: str
    share: float


def build_phase_table(spent: Spent) -> tuple[PhaseLine, ...]:
    """Return a line for each phase that took any time, in the order in which the phases of a run come.

    The lines add up to the seconds of the run without those of its page, which has no time yet when it is drawn.
    Nothing is returned for a run of which no phase was counted.
    """
    if not spent.phases:
        return ()
    total = spent.seconds - spent.phases.get(REPORTING, 0.0)
    others = spent.phases.keys() - TITLES.keys() - {REPORTING}
    order = [*(name for name in TITLES if name in spent.phases), *sorted(others)]
    seconds_by_title = {TITLES.get(name, name): spent.phases[name] for name in order}
    seconds_by_title[NOT_COUNTED] = total - sum(seconds_by_title.values())
    return tuple(
        PhaseLine(title=title, seconds=format_seconds(seconds), share=seconds / total)
        for title, seconds in seconds_by_title.items()
        if seconds >= MIN_SECONDS
    )
