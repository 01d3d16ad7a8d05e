"""How often do two methods that are equally good at their best learning rate come out as different after a search?

Nothing is trained. The validation loss of a training is a function of its learning rate, plus noise, and the real code
decides what to try. Both methods reach the same loss at their best rate, or one is better by a given difference. Then
the chosen rates are confirmed on fresh seeds, and the pair is judged by its interval, widened by what was left to gain
by the rates (`Search.regret`).

    python -m benchmarks.search_calibration --pairs 500
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tuneoff.analysis.family import compare_all
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.search.history import Search, build_searches
from tuneoff.search.replay import replay_search

CONFIDENCE = 0.95
BEST_LOSS = 3.0
# Measured with SmolLM2-135M on 60 abstracts (docs/log.md): 0.26 to 0.35 nats for one decade from the best rate.
CURVATURE = (0.2, 0.5)
EARLY_SHIFT = 0.5  # decades by which the start of a schedule prefers a higher rate
DIVERGES_BEYOND = (0.8, 1.5)  # decades above the best rate
RANGES = {"a": (2e-5, 3e-3), "b": (1e-6, 3e-4)}  # those of LoRA and full tuning
PLACE = (0.3, 0.95)  # of the best rate in its range
DEFAULT_OFFSET, DEFAULT_SPREAD = -0.2, 0.3  # of the default from the best rate, in decades

Shape = Callable[[float], float]  # from decades off the best rate to the loss lost, before the curvature
SHAPES: dict[str, Shape] = {
    "parabola": lambda u: u * u,
    "cubic": lambda u: u * u * (1 + 0.5 * max(-1.0, min(u, 1.5))),
    "wall": lambda u: u * u + 8 * max(0.0, u - 0.2) ** 2,
    "linear tails": lambda u: 0.5 * math.log(math.cosh(2 * u)),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """What a simulated training costs and scores."""

    shape: Shape = SHAPES["parabola"]
    validation_noise: float = 0.006  # nats, independent between trainings
    seed_noise: float = 0.004  # nats, of a seed on the test loss
    example_noise: float = 0.03  # nats, of one example in one training
    examples: int = 40


@dataclass(frozen=True, kw_only=True)
class Response:
    """The validation loss of one method by learning rate."""

    world: World
    best_log_rate: float
    curvature: float
    diverges_beyond: float
    generator: np.random.Generator
    best_loss: float = BEST_LOSS

    def compute_loss(self, rate: float, share: float = 1.0) -> float:
        """Return the loss without noise after a share of the training."""
        off = math.log10(rate) - self.best_log_rate - EARLY_SHIFT * (1 - share)
        return self.best_loss + 0.5 * (1 - share) + self.curvature * self.world.shape(off)

    def make_record(self, trial: Trial) -> Record:
        """Return the record of a search trial, without a curve."""
        rate, share = trial.hyperparameters["learning_rate"], trial.rungs[-1]
        if math.log10(rate) > self.best_log_rate + self.diverges_beyond:
            return Record(trial=trial, status="diverged", reason="the loss was inf")
        loss = self.compute_loss(rate, share) + self.world.validation_noise * self.generator.standard_normal()
        return Record(trial=trial, status="done", scores={"validation/loss": loss})


@dataclass
class Tally:
    """Counts over pairs."""

    pairs: int = 0
    different: int = 0  # by the interval alone
    different_with_regret: int = 0
    unknown: int = 0  # searches without an estimate of the regret
    covered: int = 0  # searches whose regret was not above the estimate
    regrets: list[float] = field(default_factory=list)  # true ones, of every search
    estimates: list[float] = field(default_factory=list)


def simulate_pairs(
    world: World, configurations: int, seeds: int, difference: float, pairs: int, seed: int = 0, **search: Any
) -> Tally:
    """Search and judge pairs of methods, the second of which is worse by `difference` at its best rate."""
    generator, tally, setting = np.random.default_rng(seed), Tally(), make_setting()
    for _ in range(pairs):
        responses = {
            label: draw_response(world, label, generator, difference if label == "b" else 0.0) for label in RANGES
        }
        recipe = make_recipe(responses, configurations, generator, search)
        searches = search_all(recipe, setting, responses)
        if len(searches) == len(RANGES):
            _judge(tally, world, responses, searches, seeds, generator)
    return tally


def draw_response(world: World, label: str, generator: np.random.Generator, worse_by: float) -> Response:
    """Draw how the loss of a label depends on its learning rate, worse by `worse_by` nats at its best."""
    low, high = np.log10(RANGES[label])
    return Response(
        world=world,
        best_log_rate=float(low + generator.uniform(*PLACE) * (high - low)),
        curvature=float(generator.uniform(*CURVATURE)),
        diverges_beyond=float(generator.uniform(*DIVERGES_BEYOND)),
        generator=generator,
        best_loss=BEST_LOSS + worse_by,
    )


def make_recipe(
    responses: dict[str, Response], configurations: int, generator: np.random.Generator, search: Any
) -> Recipe:
    """Return a recipe that searches the rate of each method alone, with defaults near the best rate."""
    methods, spaces = {}, {}
    for label, response in responses.items():
        low, high = RANGES[label]
        log_rate = response.best_log_rate + DEFAULT_OFFSET + DEFAULT_SPREAD * generator.standard_normal()
        rate = float(f"{min(max(10**log_rate, low), high):.3g}")
        methods[label] = {"method": "full", "learning_rate": rate, "weight_decay": 0.0}
        spaces[label] = {"learning_rate": {"low": low, "high": high}}
    return Recipe.read(
        {
            "name": "r", "model": {"name": "m"}, "data": {"source": "aclsum"}, "methods": methods,
            "search": {
                "configurations": configurations, "spaces": spaces, "seed": int(generator.integers(10, 10**5)), **search
            },
        }
    )  # fmt: skip


def make_setting() -> Setting:
    """Return a setting that no trial is run with."""
    return Setting(
        model=ModelOptions(name="m"), model_fingerprint="", data=Recipe.read(
            {"name": "r", "model": {"name": "m"}, "data": {"source": "aclsum"}, "methods": ["base"]}
        ).data, data_fingerprint="", training=TrainingOptions(), evaluation=EvaluationOptions(), precision="float32",
        device="", versions={},
    )  # fmt: skip


def search_all(recipe: Recipe, setting: Setting, responses: dict[str, Response]) -> dict[str, Search]:
    """Run the searches to their end; return those that chose a rate."""
    known: dict[str, Record] = {}
    for label, response in responses.items():
        while missing := _list_missing(recipe, label, setting, known):
            known |= {trial.id: response.make_record(trial) for trial in missing}
    searches = build_searches(recipe, list(known.values()))
    return {label: search for label, search in searches.items() if search.chosen}


def _list_missing(recipe: Recipe, label: str, setting: Setting, known: dict[str, Record]) -> list[Trial]:
    return [trial for trial in replay_search(recipe, label, setting, known).trials if trial.id not in known]


def _judge(
    tally: Tally,
    world: World,
    responses: dict[str, Response],
    searches: dict[str, Search],
    seeds: int,
    generator: np.random.Generator,
) -> None:
    matrices, regrets = {}, {}
    for label, search in searches.items():
        loss = responses[label].compute_loss(search.chosen.values["learning_rate"])  # type: ignore[union-attr]
        effects = world.seed_noise * generator.standard_normal((seeds, 1))
        noise = world.example_noise * generator.standard_normal((seeds, world.examples))
        matrices[label] = ScoreMatrix(loss + effects + noise, np.ones(world.examples))
        regret = search.regret
        true = loss - responses[label].best_loss
        regrets[label] = regret
        tally.regrets.append(true)
        tally.unknown += regret is None
        tally.covered += regret is not None and true <= regret
        if regret is not None:
            tally.estimates.append(regret)
    difference = compare_all([matrices["b"], matrices["a"]])[0, 1].estimate(CONFIDENCE)
    low, loser = (difference.low, "b") if difference.mean > 0 else (-difference.high, "a")
    tally.pairs += 1
    tally.different += low > 0
    tally.different_with_regret += low - (regrets[loser] or 0.0) > 0


def describe(tally: Tally) -> str:
    """Return the counts of a tally as the cells of a table."""
    searches = len(tally.regrets)
    plain, widened = tally.different / tally.pairs, tally.different_with_regret / tally.pairs
    known = searches - tally.unknown
    error = 100 * math.sqrt(max(widened * (1 - widened), 1e-4) / tally.pairs)
    return (
        f"{100 * plain:5.1f} % | {100 * widened:5.1f} ± {error:.1f} % | "
        f"{np.mean(tally.regrets):.4f} / {np.quantile(tally.regrets, 0.9):.4f} | "
        f"{np.median(tally.estimates) if tally.estimates else math.nan:.4f} | "
        f"{100 * tally.covered / known if known else math.nan:5.1f} % | {100 * tally.unknown / searches:5.1f} %"
    )


def iterate_cases(options: argparse.Namespace) -> Iterator[tuple[str, Tally]]:
    """Yield each case of the table with its tally."""
    for name in options.shapes:
        for configurations in options.configurations:
            for difference in options.differences:
                world = World(shape=SHAPES[name], examples=options.examples)
                tally = simulate_pairs(world, configurations, options.seeds, difference, options.pairs, options.seed)
                yield f"{name} | {configurations} | {difference:g}", tally


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each shape, number of configurations and true difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_calibration", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--configurations", type=int, nargs="+", default=[4, 6, 8])
    parser.add_argument("--differences", type=float, nargs="+", default=[0.0])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    print(
        "shape | tries | difference | different | with regret | true regret, mean / 90 % | estimate | covers | unknown"
    )
    for name, tally in iterate_cases(options):
        print(f"{name} | {describe(tally)}", flush=True)


if __name__ == "__main__":
    main()
