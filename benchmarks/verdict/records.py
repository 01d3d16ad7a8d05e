"""Whether the interval of `tuneoff calibrate` contains the true false share, where that is known."""

from __future__ import annotations

import numpy as np

from benchmarks.verdict.families import build_matrices
from benchmarks.verdict.worlds import Generator, World
from tuneoff.analysis.calibration import calibrate_family, find_any_difference
from tuneoff.analysis.family import compare_all
from tuneoff.analysis.null_families import choose_source
from tuneoff.metrics import ROUGE_L

METHODS, SEEDS = 3, 3
FAMILIES = 100  # drawn from each set of records
TRUE_FAMILIES = 3000  # drawn from the world itself


def measure_interval_coverage(
    generator: Generator, world: World, available: int, confidence: float, sets: int
) -> tuple[float, float, float]:
    """Calibrate on many sets of records with `available` seeds.

    Args:
        confidence: of the verdict; a lower one has a larger share of false families.

    Returns:
        The true share of false families, the mean of its estimates, and how often an interval contains it.
    """
    truth = float(np.mean([_is_false(generator, world, confidence) for _ in range(TRUE_FAMILIES)]))
    calibrations = [
        calibrate_family(
            choose_source(build_matrices(world.draw(generator, METHODS, available)), SEEDS),
            label="",
            metric=ROUGE_L,
            methods=("a", "b", "c"),
            families=FAMILIES,
            confidence=confidence,
        )
        for _ in range(sets)
    ]
    intervals = [calibration.false_interval for calibration in calibrations]
    covered = float(np.mean([low <= truth <= high for low, high in intervals]))
    return truth, float(np.mean([calibration.false_share for calibration in calibrations])), covered


def _is_false(generator: Generator, world: World, confidence: float) -> bool:
    pairs = compare_all(build_matrices(world.draw(generator, METHODS, SEEDS)))
    return find_any_difference(pairs.values(), confidence)
