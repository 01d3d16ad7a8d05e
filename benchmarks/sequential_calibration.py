"""Measures how often looking again after every further seed finds a difference that does not exist, by simulation.

Every family of methods is looked at after each of 2 to 10 seeds, with the functions of the verdict: once as
`until_decided` looks, and once as if the verdict of a finished comparison were read each time. A second table shows
what stopping saves. The numbers are in docs/how-to/until-decided.md.

A third table looks again after doubling the test examples, from 40 to 640: at the confidence of a single look, and with
the error divided by the number of looks. Its numbers are in docs/concepts/calibration.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict.looks import take_looks
from tuneoff.analysis.family import compare_all
from tuneoff.analysis.looks import Rules
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.metrics import ROUGE_L

Array = NDArray[np.float64]
Family = Mapping[str, ScoreMatrix]

SEEDS, CONFIDENCE, EXAMPLES = 10, 0.95, 40
METHODS = (2, 4, 8)
TABLES = ("false", "power", "doubling")
DOUBLED, DOUBLING_SEEDS = (40, 80, 160, 320, 640), 3
EQUAL_WORLDS = ("examples differ", "seed and example interact", "all of these")


@dataclass(frozen=True, kw_only=True)
class World:
    """Standard deviations of the parts of a score, F1 × 100."""

    seed: float = 1.0  # of the effect of a seed on a method
    common: float = 0.0  # of the effect of a seed on all methods
    interaction: float = 4.0  # of a seed and an example
    example: float = 0.0  # of an example on a method
    unequal: float = 1.0  # the largest seed effect over the smallest
    is_skewed: bool = False  # most seeds are good, and few bad
    worse: float = 0.0  # by how much every second method is truly worse


NULL_WORLDS = {
    "seeds differ": World(),
    "seeds differ unequally": World(unequal=10),
    "seeds in common": World(common=2.0),
    "examples differ": World(seed=0.3, interaction=2.0, example=8.0),
    "seed and example interact": World(seed=0.0, interaction=8.0),
    "all of these": World(seed=1.0, common=1.0, interaction=6.0, example=6.0, unequal=3),
    "skewed luck": World(is_skewed=True),
    "every second is worse": World(worse=4.0),
}
POWER_WORLD = World(seed=1.0, common=1.0, interaction=4.0, example=3.0)


def simulate_family(
    generator: np.random.Generator,
    world: World,
    methods: int,
    means_M: Array,
    seeds: int = SEEDS,
    examples: int = EXAMPLES,
) -> Family:
    """Simulate the scores of methods with these true means, with the same examples and paired seeds."""
    spread_M = np.geomspace(1 / math.sqrt(world.unequal), math.sqrt(world.unequal), methods)
    luck_MS = generator.normal(size=(methods, seeds))
    if world.is_skewed:
        luck_MS = 1 - generator.exponential(size=(methods, seeds))
    seed_MS = world.seed * spread_M[:, None] * luck_MS + world.common * generator.normal(size=seeds)
    example_ME = generator.normal(20, 8, size=examples) + world.example * generator.normal(size=(methods, examples))
    noise_MSE = world.interaction * generator.normal(size=(methods, seeds, examples))
    scores_MSE = means_M[:, None, None] + seed_MS[:, :, None] + example_ME[:, None, :] + noise_MSE
    return {str(i): ScoreMatrix(scores_MSE[i], np.ones(examples)) for i in range(methods)}


def list_false(found: Mapping[str, str | None], means_M: Array) -> list[str]:
    """The methods that are called worse than another and are not."""
    return [worse for worse, better in found.items() if better and means_M[int(worse)] >= means_M[int(better)]]


def find_worse(family: Family, seeds: int) -> dict[str, str | None]:
    """The methods that a verdict after so many seeds calls worse than the best one."""
    scores = {label: matrix.select_seeds(range(seeds)) for label, matrix in family.items()}
    best, *others = sorted(scores, key=lambda label: -scores[label].mean)
    differences = compare_all([scores[label] for label in (best, *others)])
    return {other: best for i, other in enumerate(others, 1) if differences[0, i].estimate(CONFIDENCE).low > 0}


def look_until_decided(family: Family) -> tuple[dict[str, str | None], int, bool]:
    """The methods that are dropped, the number of trainings, and whether all was decided."""
    rules = Rules(metric=ROUGE_L, margin=0.0, confidence=CONFIDENCE, planned=SEEDS, methods=len(family))
    looks = take_looks(family, range(SEEDS), rules)
    dropped_at = {label: look.seeds for look in looks for label in look.dropped}
    trainings = sum(dropped_at.get(label, looks[-1].seeds) for label in family)
    dropped = {label: better for look in looks for label, better in look.dropped.items()}
    return dropped, trainings, looks[-1].is_decided


def measure_false(world: World, methods: int, families: int, seed: int) -> tuple[float, float, float]:
    """The share of families with a false difference: until decided, by repeated verdicts, and after all seeds."""
    generator = np.random.default_rng(seed)
    means_M = -world.worse * (np.arange(methods) % 2)
    counts = np.zeros(3)
    for _ in range(families):
        family = simulate_family(generator, world, methods, means_M)
        dropped, _, _ = look_until_decided(family)
        repeated = [bool(list_false(find_worse(family, seeds), means_M)) for seeds in range(2, SEEDS + 1)]
        counts += bool(list_false(dropped, means_M)), any(repeated), repeated[-1]
    return tuple(counts / families)


def has_false_difference(family: Family, examples: int, confidence: float) -> bool:
    """Whether a verdict on the first examples finds a difference among methods that do not differ."""
    matrices = [
        replace(matrix, numerators_SE=matrix.numerators_SE[:, :examples], denominators_E=np.ones(examples))
        for matrix in family.values()
    ]
    estimates = [difference.estimate(confidence) for difference in compare_all(matrices).values()]
    return any(estimate.low > 0 or estimate.high < 0 for estimate in estimates)


def measure_doubling(world: World, methods: int, families: int, seed: int) -> tuple[float, float, float]:
    """The share of families with a false difference at any size of the test split: at the full error each time, with
    the error divided by the looks, and at the largest size alone."""
    generator = np.random.default_rng(seed)
    divided = 1 - (1 - CONFIDENCE) / len(DOUBLED)
    counts = np.zeros(3)
    for _ in range(families):
        family = simulate_family(generator, world, methods, np.zeros(methods), DOUBLING_SEEDS, DOUBLED[-1])
        repeated = [has_false_difference(family, examples, CONFIDENCE) for examples in DOUBLED]
        careful = any(has_false_difference(family, examples, divided) for examples in DOUBLED)
        counts += any(repeated), careful, repeated[-1]
    return tuple(counts / families)


def measure_power(methods: int, lead: float, families: int, seed: int) -> tuple[float, float, float]:
    """The chance to find the best method: until decided, and after all seeds; and the trainings as a share of all."""
    generator = np.random.default_rng(seed)
    means_M = -lead * np.minimum(np.arange(methods), 1) * (1 + np.arange(methods) / methods)
    found = np.zeros(3)
    for _ in range(families):
        family = simulate_family(generator, POWER_WORLD, methods, means_M)
        _, trainings, is_decided = look_until_decided(family)
        found += is_decided, len(find_worse(family, SEEDS)) == methods - 1, trainings / (methods * SEEDS)
    return tuple(found / families)


def format_share(share: float, families: int) -> str:
    """A share in percent, with the standard error of the simulation."""
    return f"{100 * share:.1f} ± {100 * math.sqrt(max(share * (1 - share), 1 / families) / families):.1f} %"


def format_false_table(only: str, methods: tuple[int, ...], families: int) -> Iterator[str]:
    """Yield the lines of the table of false differences."""
    yield "| what differs | methods | until decided | verdict read each time | verdict after ten seeds |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, world in NULL_WORLDS.items():
        for count in methods if only in name else ():
            shares = measure_false(world, count, families, seed=1)
            yield f"| {name} | {count} | {' | '.join(format_share(share, families) for share in shares)} |"


def format_power_table(methods: tuple[int, ...], families: int) -> Iterator[str]:
    """Yield the lines of the table of what stopping costs and saves."""
    yield "| lead | methods | found until decided | found after ten seeds | trainings until decided |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for count in methods:
        for lead in (1.0, 2.0, 4.0, 8.0):
            sequential, fixed, share = measure_power(count, lead, families, seed=2)
            shares = " | ".join(format_share(found, families) for found in (sequential, fixed))
            yield f"| {lead:g} | {count} | {shares} | {100 * share:.0f} % |"


def format_doubling_table(only: str, methods: tuple[int, ...], families: int) -> Iterator[str]:
    """Yield the lines of the table of looking again after doubling the test examples."""
    yield "| what differs | methods | verdict read each time | error divided by the looks | verdict on 640 alone |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name in EQUAL_WORLDS:
        for count in methods if only in name else ():
            shares = measure_doubling(NULL_WORLDS[name], count, families, seed=3)
            yield f"| {name} | {count} | {' | '.join(format_share(share, families) for share in shares)} |"


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequential_calibration", description=__doc__)
    parser.add_argument("--families", type=int, default=2000)
    parser.add_argument("--only", default="", help="worlds whose name contains this")
    parser.add_argument("--methods", type=int, nargs="*", default=METHODS)
    parser.add_argument("--table", choices=TABLES, nargs="*", default=TABLES)
    options = parser.parse_args()
    if "false" in options.table:
        for line in format_false_table(options.only, tuple(options.methods), options.families):
            print(line, flush=True)
    if "doubling" in options.table:
        for line in format_doubling_table(options.only, tuple(options.methods), options.families):
            print(line, flush=True)
    if "power" in options.table:
        for line in format_power_table(tuple(options.methods), options.families):
            print(line, flush=True)


if __name__ == "__main__":
    main()
