"""Does a comparison find the difference that its plan says it can show? Simulated worlds with known noise.

`python -m tests.analysis.simulate_plans` prints the table of docs/concepts/calibration.md.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from tuneoff.analysis.family import compare_all
from tuneoff.analysis.noise import ExampleNoise, Noise, RunNoise, StoredScores, measure_noise
from tuneoff.analysis.sensitivity import Design, compute_chance, find_visible_difference
from tuneoff.analysis.statistics import ScoreMatrix

GAMMA_SPREAD = 1.5  # mean square of the weights over their squared mean


@dataclass(frozen=True, kw_only=True)
class World:
    """Methods with equal true means. The deviations are those of Noise; `common` is shared by the methods' seeds."""

    trained: int
    seeds: int
    examples: int
    seed_sd: float = 1.0
    interaction_sd: float = 4.0
    example_sd: float = 4.0  # of a difference between two methods
    common_sd: float = 0.0
    has_weights: bool = False
    has_base: bool = True

    @property
    def design(self) -> Design:
        methods = self.trained + self.has_base
        return Design(methods=methods, trained=self.trained, seeds=self.seeds, examples=self.examples, confidence=0.95)

    @property
    def noise(self) -> Noise:
        """The true noise, as if it had been measured without error."""
        spread = GAMMA_SPREAD if self.has_weights else 1.0
        interaction = spread * self.interaction_sd**2
        runs = RunNoise(
            variance=self.seed_sd**2 + interaction / self.examples, interaction=interaction, examples=self.examples
        )
        return Noise(runs=runs, examples=ExampleNoise(variance=spread * self.example_sd**2, effective_share=1 / spread))

    def simulate(
        self, generator: np.random.Generator, *, difference: float = 0.0, seeds: int | None = None
    ) -> tuple[tuple[ScoreMatrix, ...], ScoreMatrix | None]:
        """Simulate the trained methods, the first of which is better by `difference`, and the base model."""
        seeds, examples = seeds or self.seeds, self.examples
        weights_E = generator.gamma(2.0, size=examples) if self.has_weights else np.ones(examples)
        difficulty_E = generator.normal(20, 8, size=examples)
        common_S1 = generator.normal(0, self.common_sd, size=(seeds, 1))

        def simulate_own() -> np.ndarray:
            return difficulty_E + generator.normal(0, self.example_sd / sqrt(2), size=examples)

        trained = []
        for method in range(self.trained):
            scores_SE = simulate_own() + common_S1 + generator.normal(0, self.seed_sd, size=(seeds, 1))
            scores_SE += generator.normal(0, self.interaction_sd, size=(seeds, examples))
            trained.append(ScoreMatrix((scores_SE + difference * (method == 0)) * weights_E, weights_E))
        base = ScoreMatrix(simulate_own()[None] * weights_E, weights_E, trained=False) if self.has_base else None
        return tuple(trained), base

    def find(self, generator: np.random.Generator, difference: float) -> bool:
        """Return whether a simulated comparison finds the difference between the first two methods."""
        trained, base = self.simulate(generator, difference=difference)
        pair = compare_all([*trained, *([base] if base else [])])[0, 1]
        return pair.estimate(0.95).low > 0


def measure_found_share(world: World, comparisons: int, seed: int = 0) -> float:
    """The share of comparisons that find the difference of a plan that knows the noise."""
    difference = find_visible_difference(world.noise, world.design)
    assert difference is not None
    generator = np.random.default_rng(seed)
    return sum(world.find(generator, difference) for _ in range(comparisons)) / comparisons


def compute_chance_after_pilots(world: World, pilots: int, *, pilot_seeds: int, seed: int = 0) -> float:
    """The mean chance that a comparison shows the difference of a plan that measured the noise on a stored run."""
    generator, chances = np.random.default_rng(seed), []
    for _ in range(pilots):
        trained, base = world.simulate(generator, seeds=pilot_seeds)
        stored = [StoredScores(trained=trained, base=base)]
        noise = measure_noise(stored, None, measured_in="a pilot", against_base=world.trained == 1)
        assert noise is not None
        difference = find_visible_difference(noise, world.design)
        assert difference is not None
        chances.append(compute_chance(difference, world.noise, world.design))
    return float(np.mean(chances))


WORLDS = {
    "2 methods": World(trained=2, seeds=3, examples=40, interaction_sd=8),
    "2 methods, 2 seeds": World(trained=2, seeds=2, examples=100, has_base=False),
    "4 methods": World(trained=4, seeds=3, examples=40, common_sd=1),
    "4 methods, seeds dominate": World(trained=4, seeds=3, examples=500, seed_sd=2, interaction_sd=0),
    "4 methods, examples dominate": World(trained=4, seeds=3, examples=40, seed_sd=0.1, example_sd=12),
    "8 methods, 2 seeds": World(trained=8, seeds=2, examples=200, example_sd=6),
    "8 methods, 5 seeds, weighted": World(trained=8, seeds=5, examples=60, has_weights=True),
    "3 methods, 12 examples": World(trained=3, seeds=3, examples=12),
    "the base model and one method": World(trained=1, seeds=3, examples=60),
}


def main() -> None:
    """Print how often the stated difference is found, with its Monte-Carlo standard error of 1 percentage point."""
    print("| world | known noise | after a pilot of 3 seeds |\n| --- | ---: | ---: |")
    for name, world in WORLDS.items():
        known = measure_found_share(world, 1600)
        piloted = compute_chance_after_pilots(world, 100, pilot_seeds=3)
        print(f"| {name} | {100 * known:.0f} % | {100 * piloted:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
