"""Measure what the models of a run cost when they are served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.api.asking import open_arms
from tuneoff.runs import RunDirectory

if TYPE_CHECKING:
    from tuneoff.records.measured import Measured
    from tuneoff.runner.measuring import MeasureOptions


def measure(
    run: str | Path,
    labels: Sequence[str] | None = None,
    options: MeasureOptions | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Measure the models of a run against the base model, and store the result in the run directory.

    Measured are the time to the first token and of each further one, merged and not merged; the swap of merged LoRA;
    the memory of all weights; and what the length of a soft prompt costs. The report of the run then has a section
    about it.

    Args:
        labels: the methods, as the recipe labels them; by default all that have a model.
        report: is called with what is measured next.

    Raises:
        ModelError: the base model cannot be loaded.
        RunError: there is no such method, or another process uses the run.
    """
    from tuneoff.api.mixed_batches import measure_mixed
    from tuneoff.methods import get_method
    from tuneoff.runner.measuring import MeasureOptions
    from tuneoff.runner.measuring import measure as measure_records
    from tuneoff.runs.measured import write_measured

    arms, directory, options = open_arms(run, labels), RunDirectory(Path(run)), options or MeasureOptions()
    mixing = partial(
        measure_mixed,
        directory.path,
        [record.trial.label for record in arms.records if get_method(record.trial.method).trains],
        new_tokens=options.new_tokens,
        repeats=options.repeats,
    )
    measured = measure_records(directory, arms.records, options, report, mixing)
    with directory.lock():
        write_measured(directory.path, measured)
    return measured
