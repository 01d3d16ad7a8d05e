"""Whether "N examples (or seeds) would settle it with a chance of 80 %" is true: pilots, and what is then measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.verdict.families import CONFIDENCE, build_matrices
from benchmarks.verdict.shares import format_share
from benchmarks.verdict.worlds import DIFFICULTY, Array, Generator
from tuneoff.analysis.family import PairedDifference, compare_all
from tuneoff.analysis.needed import Needed, Outlook, estimate_needed, rank_effort
from tuneoff.analysis.pairs import Decision, Pair, decide
from tuneoff.analysis.posterior import draw_posterior
from tuneoff.analysis.row import Row
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.metrics import ROUGE_L

MARGIN = 0.5  # the default of ROUGE
MOST_SIMULATED = 20_000  # examples; a pilot that needs more is counted, and not followed


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A pilot that was not decided, and what the further scores showed."""

    chance: float  # stated
    is_decided: bool


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """A pilot with three seeds, whose scores can be drawn further: more examples under the same seeds, or more seeds.

    Standard deviations are in points. An example's effect on a method is the same under every seed.
    """

    raised: Literal["seeds", "examples"]
    examples: int
    run_deviation: float
    example_effect: float
    interaction: float
    seeds: int = 3

    @property
    def noise(self) -> float:
        """The standard deviation of the noise of a method's mean, without what is common to all methods."""
        of_examples = (self.example_effect**2 + self.interaction**2 / self.seeds) / self.examples
        return math.sqrt(of_examples + self.run_deviation**2 / self.seeds)

    def draw_effects(self, generator: Generator, methods: int, seeds: int) -> Array:
        return generator.normal(0, self.run_deviation, size=(methods, seeds))

    def draw_examples(self, generator: Generator, means_M: Array, examples: int) -> Array:
        """Draw each example's score without any effect of a seed, (M, E)."""
        own_ME = generator.normal(0, self.example_effect, size=(len(means_M), examples))
        return np.asarray(means_M[:, None] + own_ME + generator.normal(20, DIFFICULTY, size=examples))

    def draw_scores(self, generator: Generator, effects_MS: Array, examples_ME: Array) -> Array:
        noise_MSE = generator.normal(0, self.interaction, size=(*effects_MS.shape, examples_ME.shape[1]))
        return np.asarray(effects_MS[..., None] + examples_ME[:, None] + noise_MSE)


# Where the runs differ little, further examples help; where they differ much, only further seeds do.
MORE_EXAMPLES = Pilot(raised="examples", examples=40, run_deviation=0.05, example_effect=4.0, interaction=1.0)
MORE_SEEDS = Pilot(raised="seeds", examples=100, run_deviation=1.0, example_effect=1.0, interaction=2.0)


def follow_pilot(generator: Generator, pilot: Pilot, means_M: Array) -> Followed | Literal["decided", "no number"]:
    """Simulate a pilot, ask how many seeds or examples would decide it, and simulate as many."""
    effects_MS = pilot.draw_effects(generator, len(means_M), pilot.seeds)
    examples_ME = pilot.draw_examples(generator, means_M, pilot.examples)
    pilot_MSE = pilot.draw_scores(generator, effects_MS, examples_ME)
    matrices = build_matrices(pilot_MSE)
    outlooks = _look_ahead(matrices)
    if not outlooks:
        return "decided"
    hardest = max((estimate_needed(outlook) for outlook in outlooks), key=rank_effort)
    outlook = next(outlook for outlook in outlooks if outlook.pair is hardest.pair)
    if pilot.raised == "seeds":
        if hardest.seeds is None:
            return "no number"
        chance = outlook.compute_chance(seeds=hardest.seeds)
        added_MS = pilot.draw_effects(generator, len(means_M), hardest.seeds - pilot.seeds)
        added_MSE = pilot.draw_scores(generator, added_MS, examples_ME)
        scores_MSE = np.concatenate([pilot_MSE, added_MSE], axis=1)
    else:
        if hardest.examples is None or hardest.examples > MOST_SIMULATED:
            return "no number"
        chance = outlook.compute_chance(examples=hardest.examples)
        added_ME = pilot.draw_examples(generator, means_M, hardest.examples - pilot.examples)
        added_MSE = pilot.draw_scores(generator, effects_MS, added_ME)
        scores_MSE = np.concatenate([pilot_MSE, added_MSE], axis=2)
    pairs = compare_all(build_matrices(scores_MSE))
    first, second = sorted(_find_methods(matrices, hardest))
    return Followed(chance=chance, is_decided=_decide(pairs[first, second]) != "open")


def _look_ahead(matrices: Sequence[ScoreMatrix]) -> list[Outlook]:
    """The outlook of each pair with the best method that is not decided."""
    ranked = sorted(matrices, key=lambda matrix: matrix.mean, reverse=True)
    posterior = draw_posterior(ranked)
    assert posterior is not None, "every method has several seeds"
    pairs = compare_all(ranked)
    undecided = [j for j in range(1, len(ranked)) if _decide(pairs[0, j]) == "open"]
    return [Outlook(_build_pair(pairs[0, j]), posterior, (0, j), MARGIN, CONFIDENCE) for j in undecided]


def _decide(paired: PairedDifference) -> Decision:
    difference = paired.estimate(CONFIDENCE)
    if difference.mean < 0:
        paired = PairedDifference(paired.second, paired.first, paired.run_parts[::-1], paired.methods)
        difference = paired.estimate(CONFIDENCE)
    return decide(difference, MARGIN)


def _build_pair(paired: PairedDifference) -> Pair:
    row = Row(label="", method="lora", records=(), scores={}, amounts={})
    return Pair(
        metric=ROUGE_L,
        better=row,
        other=row,
        difference=paired.estimate(CONFIDENCE),
        p=1.0,
        decision="open",
        paired=paired,
    )


def _find_methods(matrices: Sequence[ScoreMatrix], needed: Needed) -> tuple[int, int]:
    """The indices of a pair's methods."""
    paired = needed.pair.paired
    first, second = (next(i for i, m in enumerate(matrices) if m is side) for side in (paired.first, paired.second))
    return first, second


def follow_pilots(
    generator: Generator, pilot: Pilot, *, spread: float | None, pilots: int, methods: int
) -> tuple[list[Followed], int, int]:
    """Follow pilots of methods whose true means have a standard deviation of `spread` points.

    Args:
        spread: None draws it for each pilot from the distribution that the posterior assumes.

    Returns:
        The pilots that were followed, the number that were decided at once, and that of those without an answer.
    """

    def follow() -> Followed | Literal["decided", "no number"]:
        deviation = pilot.noise * abs(generator.standard_cauchy()) if spread is None else spread
        return follow_pilot(generator, pilot, generator.normal(0, deviation, size=methods))

    results = [follow() for _ in range(pilots)]
    followed = [result for result in results if isinstance(result, Followed)]
    return followed, results.count("decided"), results.count("no number")


def print_prior_average() -> None:
    """Print how often the promise is kept on average over true differences as the posterior assumes them."""
    print_row("raised", "methods", "pilots", "with a number", "stated", "decided")
    for pilot, methods, pilots in (
        (MORE_EXAMPLES, 2, 3000), (MORE_EXAMPLES, 4, 1500), (MORE_SEEDS, 2, 4000), (MORE_SEEDS, 4, 3000),
    ):  # fmt: skip
        followed, _, _ = follow_pilots(np.random.default_rng(11), pilot, spread=None, pilots=pilots, methods=methods)
        stated, kept = np.mean([[found.chance, found.is_decided] for found in followed], axis=0)
        share = format_share(float(kept), len(followed))
        print_row(pilot.raised, methods, pilots, len(followed), f"{100 * stated:.0f} %", share)


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    print_prior_average()
