"""Ask all models of a run the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.api.comparisons import load_comparison
from tuneoff.runs import RunDirectory

if TYPE_CHECKING:
    from tuneoff.records.record import Prediction
    from tuneoff.runner.arms import Answer, Arms


def open_arms(run: str | Path, labels: Sequence[str] | None = None) -> Arms:
    """Return the models of a run, best first, to ask them one question after another.

    Args:
        labels: the methods, as the recipe labels them; by default all that have a model.

    Raises:
        RunError: there is no such method, or it did not finish.
    """
    from tuneoff.runner.arms import Arms, choose_loadable

    comparison = load_comparison(run)
    ranked = [row.label for row in comparison.rows]
    return Arms(RunDirectory(Path(run)), choose_loadable(comparison.run.records, labels, ranked))


def recall(run: str | Path, number: int, labels: Sequence[str] | None = None) -> tuple[Prediction, list[Answer]]:
    """Return a test example of a run, and what each model wrote for it when the run was made.

    Args:
        number: of the example, from 1.
        labels: the methods, as the recipe labels them; by default all that have a model.

    Raises:
        RunError: there is no such method or example.
    """
    from tuneoff.runner.arms import recall_answers

    return recall_answers(open_arms(run, labels).records, number)
