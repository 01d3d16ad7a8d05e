"""How often the verdict is wrong, measured on simulated scores: `python -m benchmarks.verdict_calibration --help`.

Each table is Markdown, with the Monte-Carlo standard error beside each number, and each number is from the functions
that judge a run. A share is "false" if any two methods of a family are declared different although none is better.

- families: methods whose differences come almost only from the seeds, by two metrics from the same runs.
- pairs: a stable and an unstable method, and skewed luck.
- kinds: whole comparisons with one seed, and with a method that diverges in one of five runs.
- worlds: unequal, skewed, heavy-tailed and correlated seed effects, and lost seeds; the rule was chosen on these.
- unseen: worlds that the rule was not chosen on.
- means: intervals of a token-weighted loss.
- power: how often a true advantage of one method is found.
- planning: pilots with three seeds, asked how many seeds or examples would decide them, and then given as many.
- chances: the chance of each method to be the best, and to be within a margin of it.
- interaction: the share of the seed-example interaction that counts as well known (`statistics.WELL_KNOWN_SHARE`).
- records: the interval of `tuneoff calibrate`, from few stored seeds whose true false share is known.
- speed: seconds and memory of judging 8 methods x 5 seeds x 11,490 examples.

The worlds are in `benchmarks.verdict.worlds`. How the rule before this one did is in `benchmarks.verdict.before`.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy

from benchmarks.verdict import worlds
from benchmarks.verdict.before import POWER_CASES
from benchmarks.verdict.chances import Stated, bin_chances, state_chances
from benchmarks.verdict.families import (
    measure_false_share,
    measure_interaction_share,
    measure_lost_seed,
    measure_mean_coverage,
    measure_power,
    measure_two_metrics,
)
from benchmarks.verdict.kinds import count_kinds_of_diverging, count_kinds_of_one_seed
from benchmarks.verdict.planning import MORE_EXAMPLES, MORE_SEEDS, Pilot, follow_pilots
from benchmarks.verdict.records import measure_interval_coverage
from benchmarks.verdict.shares import format_share, print_table
from benchmarks.verdict.speed import measure_judging

SEED = 20261126
Table = Callable[[np.random.Generator, int], None]


def print_families(generator: np.random.Generator, families: int) -> None:
    """Print how often equal methods are called different by either of two metrics."""

    def measure(methods: int, seeds: int) -> tuple[str, ...]:
        shares = measure_two_metrics(generator, worlds.EQUAL, methods, seeds, families)
        return (f"{methods} x {seeds}", *(format_share(share, families) for share in shares))

    header = ("methods x seeds", "false by ROUGE", "false by loss", "false by either")
    print_table(
        "Seeds decide, two metrics of the same runs, 40 examples",
        header,
        (measure(*case) for case in ((4, 2), (8, 2), (4, 3), (8, 3))),
    )


def print_pairs(generator: np.random.Generator, families: int) -> None:
    """Print the false shares of unequally stable and of skewed methods."""

    def measure(world: worlds.World, methods: int, seeds: int, examples: int) -> tuple[str, ...]:
        share = measure_false_share(generator, world, methods, seeds, families, examples)
        return world.title, f"{methods} x {seeds}", str(examples), format_share(share, families)

    cases = [(worlds.STABLE_AND_UNSTABLE, methods, seeds, 500) for methods in (2, 4, 8) for seeds in (2, 3, 5)]
    skewed = (worlds.SKEWED, worlds.SKEWED_AND_STABLE)
    cases += [(world, methods, seeds, 40) for world in skewed for methods in (2, 4, 8) for seeds in (2, 3, 5, 10)]
    print_table(
        "Unequal and skewed",
        ("seed effects", "methods x seeds", "examples", "false"),
        (measure(*case) for case in cases),
    )


def print_kinds(generator: np.random.Generator, families: int) -> None:
    """Print which kinds of verdict single and lost runs lead to."""
    comparisons = max(20, families // 20)
    kinds = count_kinds_of_one_seed(generator, 3000, max(10, comparisons // 10))
    print_table(
        "One seed, 3,000 examples, standard deviation of a seed 1 point",
        ("kind", "share"),
        ((kind, format_share(count / kinds.total(), kinds.total())) for kind, count in kinds.items()),
    )

    def measure(seeds: int) -> tuple[str, ...]:
        lost, complete = count_kinds_of_diverging(generator, seeds, comparisons)
        both = lost.total() + complete.total()
        return (
            str(seeds),
            format_share(complete.total() / both, both),
            *(format_share(of[kind] / of.total(), of.total()) for of in (lost, complete) for kind in KINDS),
        )

    print_table(
        "The better method diverges in one of five runs",
        ("seeds", "no run lost", *(f"{kind}, {where}" for where in ("a run lost", "none lost") for kind in KINDS)),
        map(measure, (3, 5, 10)),
    )


KINDS = ("winner", "winner where it trains")


def print_worlds(generator: np.random.Generator, families: int) -> None:
    """Print the false shares in the worlds that the rule was chosen on."""
    cases = [(methods, seeds) for seeds in (2, 3, 5) for methods in (2, 3, 4, 8)]
    _print_worlds("Worlds that the rule was chosen on", (worlds.EQUAL, *worlds.CHOSEN_ON), cases, generator, families)


def print_unseen(generator: np.random.Generator, families: int) -> None:
    """Print the false shares in worlds that the rule was not chosen on."""
    cases = [(methods, seeds) for seeds in (2, 3, 4) for methods in (2, 3, 5, 6)]
    _print_worlds("Worlds that the rule was not chosen on", worlds.UNSEEN, cases, generator, families)


def _print_worlds(
    title: str,
    chosen: Sequence[worlds.World],
    cases: Sequence[tuple[int, int]],
    generator: np.random.Generator,
    families: int,
) -> None:
    def measure(world: worlds.World) -> Iterator[str]:
        yield world.title
        for methods, seeds in cases:
            yield format_share(measure_false_share(generator, world, methods, seeds, families), families)

    def measure_lost() -> Iterator[str]:
        yield "every second method lost a seed"
        for methods, seeds in cases:
            share = measure_lost_seed(generator, worlds.EQUAL, methods, seeds, families) if seeds > 2 else None
            yield "" if share is None else format_share(share, families)

    print_table(
        f"{title}, methods x seeds",
        ("seed effects", *(f"{methods} x {seeds}" for methods, seeds in cases)),
        (tuple(cells) for cells in (*map(measure, chosen), measure_lost())),
    )


def print_means(generator: np.random.Generator, families: int) -> None:
    """Print how often the interval of a weighted mean covers the true one."""

    def measure(deviation: float, examples: int, seeds: int) -> tuple[str, ...]:
        covered = measure_mean_coverage(generator, deviation, examples, seeds, families)
        return str(deviation), str(examples), str(seeds), format_share(covered, families)

    cases = [(d, examples, seeds) for d in (0.5, 1.0) for examples in (20, 40, 160) for seeds in (1, 3)]
    print_table(
        "Coverage of the intervals of a token-weighted loss",
        ("sd of the log weights", "examples", "seeds", "covered"),
        (measure(*case) for case in cases),
        text_columns=0,
    )


def print_power(generator: np.random.Generator, families: int) -> None:
    """Print how often a true advantage is found."""

    def measure(world: worlds.World, advantage: float, methods: int) -> tuple[str, ...]:
        shares = measure_power(generator, world, methods, 3, families, advantage)
        return world.title, f"{advantage:g}", str(methods), *(format_share(share, families) for share in shares)

    print_table(
        "Power, 3 seeds",
        ("world", "advantage", "methods", "one pair", "better than all"),
        (measure(world, advantage, methods) for world, advantage in POWER_CASES for methods in (2, 3, 4, 8)),
    )


def print_planning(generator: np.random.Generator, families: int) -> None:
    """Print how often the numbers that would decide a pair do decide it."""

    def measure(pilot: Pilot, methods: int, spread: float) -> tuple[str, ...]:
        followed, decided, without = follow_pilots(generator, pilot, spread=spread, pilots=families, methods=methods)
        kept = float(np.mean([pilot.is_decided for pilot in followed])) if followed else 0.0
        return (
            pilot.raised,
            str(methods),
            f"{spread:g}",
            format_share(decided / families, families),
            format_share(without / families, families),
            f"{100 * np.mean([pilot.chance for pilot in followed]):.0f} %" if followed else "",
            format_share(kept, len(followed)) if followed else "",
        )

    print_table(
        "What would decide a pilot of 3 seeds",
        ("raised", "methods", "true sd", "decided at once", "no number would", "stated", "decided"),
        (
            measure(pilot, methods, spread)
            for pilot in (MORE_EXAMPLES, MORE_SEEDS)
            for methods in (2, 4)
            for spread in (0.0, 1.0, 3.0)
        ),
    )


def print_chances(generator: np.random.Generator, families: int) -> None:
    """Print how often what is stated with a probability comes true."""
    error = np.sqrt(2 / 3)  # of a difference of two methods with three seeds
    stated = {
        (methods, spread): state_chances(
            generator, worlds.EQUAL, methods=methods, seeds=3, spread=spread * error, families=max(50, families // 6)
        )
        for methods in (2, 4, 8)
        for spread in (0.0, 0.5, 1.0, 3.0)
    }
    for title, get in (("to be the best", _get_best), ("to be within the margin", _get_within)):
        pooled = [np.concatenate(parts) for parts in zip(*map(get, stated.values()), strict=True)]
        print_table(
            f"Reliability of the chance {title}",
            ("stated", "mean stated", "observed", "cases"),
            (
                (f"{low:.2f} to {high:.2f}", f"{100 * mean:.1f} %", format_share(share, cases), str(cases))
                for low, high, mean, share, cases in bin_chances(*pooled)
            ),
        )
    print_table(
        "Of the method with the largest chance",
        ("methods", "true sd / error", "stated chance", "was best", "stated regret", "true regret"),
        ((str(methods), f"{spread:g}", *_summarize_choice(of)) for (methods, spread), of in stated.items()),
        text_columns=0,
    )


def _get_best(stated: Stated) -> tuple[worlds.Array, worlds.Array]:
    return stated.best_FM.ravel(), stated.is_best_FM.ravel()


def _get_within(stated: Stated) -> tuple[worlds.Array, worlds.Array]:
    return stated.within_FM.ravel(), stated.is_within_FM.ravel()


def _summarize_choice(stated: Stated) -> tuple[str, ...]:
    families = np.arange(len(stated.best_FM))
    best_F, is_best_F, regret_F, true_F = (
        of_FM[families, stated.chosen_F]
        for of_FM in (stated.best_FM, stated.is_best_FM, stated.regret_FM, stated.true_regret_FM)
    )
    error = true_F.std(ddof=1) / np.sqrt(len(true_F))
    return (
        f"{100 * best_F.mean():.0f} %",
        format_share(float(is_best_F.mean()), len(families)),
        f"{regret_F.mean():.2f}",
        f"{true_F.mean():.2f} ± {error:.2f}",
    )


def print_interaction(generator: np.random.Generator, families: int) -> None:
    """Print the false shares by how much of the interaction counts as well known."""

    def measure(seeds: int, well_known: float, ratio: float) -> tuple[str, ...]:
        share = measure_interaction_share(generator, seeds, ratio, well_known, families)
        return str(seeds), f"{well_known:g}", f"{ratio:g}", format_share(share, families)

    print_table(
        "The interaction as a part of a run's variance, two methods",
        ("seeds", "well-known share", "interaction / seed", "false"),
        (measure(seeds, known, ratio) for seeds in (2, 3) for known in (0.0, 0.5, 1.0) for ratio in RATIOS),
        text_columns=0,
    )


RATIOS = (0.1, 1.0, 3.0, 10.0, 100.0)


def print_records(generator: np.random.Generator, families: int) -> None:
    """Print how well a calibration on records estimates the false share."""

    def measure(world: worlds.World, available: int, confidence: float) -> tuple[str, ...]:
        sets = max(20, families // 10)
        truth, mean, covered = measure_interval_coverage(generator, world, available, confidence, sets)
        return (
            world.title, f"{available} into 3 + 3", f"{100 * confidence:.0f} %", f"{100 * truth:.1f} %",
            f"{100 * mean:.1f} %", format_share(covered, sets),
        )  # fmt: skip

    print_table(
        "The interval of `tuneoff calibrate` from stored seeds, 3 methods",
        ("seed effects", "stored seeds", "confidence of the verdict", "true false share", "mean estimate", "covered"),
        (
            measure(world, available, confidence)
            for world in (worlds.EQUAL, worlds.SKEWED)
            for available in (6, 8, 12)
            for confidence in (0.95, 0.8)
        ),
    )


def print_speed(_: np.random.Generator, __: int) -> None:
    """Print how long judging a large comparison takes, and its memory."""
    judging = measure_judging(methods=8, seeds=5, examples=11_490)
    print_table(
        "Judging 8 methods x 5 seeds x 11,490 examples by every metric",
        ("leaderboard", "all pairs and chances", "peak memory", "of this, the records"),
        [
            (
                f"{judging.judge_seconds:.1f} s",
                f"{judging.verdict_seconds:.1f} s",
                f"{judging.peak_bytes / 2**30:.2f} GiB",
                f"{judging.records_bytes / 2**30:.2f} GiB",
            )
        ],
        text_columns=0,
    )


TABLES: dict[str, Table] = {
    "speed": print_speed,  # first, because memory that later tables take would count
    "families": print_families,
    "pairs": print_pairs,
    "kinds": print_kinds,
    "worlds": print_worlds,
    "means": print_means,
    "power": print_power,
    "planning": print_planning,
    "chances": print_chances,
    "interaction": print_interaction,
    "records": print_records,
    "unseen": print_unseen,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict_calibration", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", choices=TABLES, help="one table, with the same numbers as among all")
    parser.add_argument("--families", type=int, default=1000, help="simulated for each number (default: 1000)")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, seed {SEED}")
    for index, (name, print_one) in enumerate(TABLES.items()):
        if options.only in (None, name):
            print_one(np.random.default_rng([SEED, index]), options.families)


if __name__ == "__main__":
    main()
