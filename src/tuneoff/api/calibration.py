"""Measure how often the verdict is wrong, on the records of runs and sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.analysis.calibration import calibrate_comparisons, list_family
from tuneoff.analysis.comparison import Comparison
from tuneoff.api.comparisons import load_comparison
from tuneoff.api.sweeps import is_sweep, load_sweep
from tuneoff.errors import RunError

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration


def calibrate(*runs: str | Path, seeds: int = 3, comparisons: int = 1000) -> Iterator[Calibration]:
    """Measure how often the verdict is wrong, on comparisons made from the records of runs and sweeps.

    Args:
        seeds: seeds of each method in such a comparison, two or more.
        comparisons: comparisons of all methods to judge per run and metric: as many without a difference as with a
            known one.

    Returns:
        One calibration per run and metric, each computed when it is asked for.

    Raises:
        RunError: no run has two methods of which one has two finished seeds, so the variation between runs is unknown.
        ValueError: `seeds` is below two.
    """
    if seeds < 2:
        raise ValueError(f"seeds is {seeds}; a verdict takes two or more, because one run shows no variation.")

    by_name = {name: comparison for run in runs for name, comparison in _iterate_comparisons(Path(run))}
    if not any(list_family(comparison) for comparison in by_name.values()):
        raise RunError(
            f"No two methods in {', '.join(map(str, runs))} were scored with two seeds, so the variation between runs "
            "is unknown. Add seeds with `tuneoff compare RECIPE 'seeds=[0, 1, 2]' --run RUN`, then calibrate again."
        )
    return calibrate_comparisons(by_name, seeds=seeds, families=comparisons)


def _iterate_comparisons(run: Path) -> Iterator[tuple[str, Comparison]]:
    if is_sweep(run):
        yield from ((f"{run} {name}", comparison) for name, comparison in load_sweep(run).comparisons.items())
    else:
        yield str(run), load_comparison(run)
