"""Worlds: how the scores of methods are drawn whose true differences are known.

A score is the sum of its method's true mean, the difficulty of its example, an effect of the example on this method,
an effect of the seed, and an interaction of the two. Standard deviations are in points. Where nothing else is said,
that of a seed is 1, and the other effects are so small that the seeds decide.

This file uses numpy alone, so that earlier versions of tuneoff can be measured on the same scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Generator = np.random.Generator

EXAMPLES = 40
DIFFICULTY = 8.0  # of an example, equal for all methods


@dataclass(frozen=True, kw_only=True)
class World:
    """How seed effects are distributed, and how large the other effects are."""

    title: str
    draw_deviations: Callable[[Generator, int], Array] = lambda _, methods: np.ones(methods)  # of each method's seeds
    draw_effects: Callable[[Generator, tuple[int, ...]], Array] = lambda g, shape: g.normal(size=shape)  # variance one
    shared: float = 0.0  # share of the variance of seed effects that is common to all methods under one seed
    example_effect: float = 0.3
    interaction: float = 0.5

    def draw(
        self,
        generator: Generator,
        methods: int,
        seeds: int,
        examples: int = EXAMPLES,
        means_M: Array | float = 0.0,
    ) -> Array:
        """Draw scores, (methods, seeds, examples)."""
        effects_MS = self.draw_seed_effects(generator, methods, seeds)
        difficulty_E = generator.normal(20, DIFFICULTY, size=examples)
        own_ME = generator.normal(0, self.example_effect, size=(methods, examples))
        interaction_MSE = generator.normal(0, self.interaction, size=(methods, seeds, examples))
        means_M = np.broadcast_to(means_M, methods)
        return np.asarray(
            means_M[:, None, None] + difficulty_E + own_ME[:, None] + effects_MS[..., None] + interaction_MSE
        )

    def draw_seed_effects(self, generator: Generator, methods: int, seeds: int) -> Array:
        own_MS = self.draw_effects(generator, (methods, seeds))
        common_S = self.draw_effects(generator, (seeds,))
        effects_MS = math.sqrt(1 - self.shared) * own_MS + math.sqrt(self.shared) * common_S
        return np.asarray(self.draw_deviations(generator, methods)[:, None] * effects_MS)


# Distributions of seed effects, with mean zero and variance one.


def draw_skewed(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Four runs in five are good, and one in five is bad."""
    bad = generator.random(shape) < 0.2
    return np.asarray((0.2 - bad) / 0.4 * math.sqrt(0.95) + generator.normal(0, math.sqrt(0.05), size=shape))


def draw_t3(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Draw from the t distribution with three degrees of freedom, scaled to a variance of one."""
    return np.asarray(generator.standard_t(3, size=shape) / math.sqrt(3))


def draw_lognormal(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Lognormal bad luck: the logarithm has standard deviation one."""
    values = np.exp(generator.normal(size=shape))
    return np.asarray((math.exp(0.5) - values) / math.sqrt((math.e - 1) * math.e))


def draw_outliers(generator: Generator, shape: tuple[int, ...]) -> Array:
    """One run in ten has an effect with five times the standard deviation."""
    scale = np.where(generator.random(shape) < 0.1, 5.0, 1.0)
    return np.asarray(scale * generator.normal(size=shape) / math.sqrt(0.9 + 0.1 * 25))


# Standard deviations of the methods' seed effects.


def draw_unequal(generator: Generator, methods: int) -> Array:
    """The logarithms of the variances have standard deviation one."""
    return np.asarray(np.exp(generator.normal(size=methods) / 2))


def make_half_unstable(_: Generator, methods: int) -> Array:
    """Return standard deviations that are five times as large for every second method."""
    return np.where(np.arange(methods) % 2, 1.0, 0.2)


def make_one_unstable(_: Generator, methods: int) -> Array:
    """Return standard deviations that are ten times as large for the first method."""
    return np.where(np.arange(methods) == 0, 1.0, 0.1)


EQUAL = World(title="normal, all methods equally stable")
CORRELATED = World(title="normal, correlated +0.77 between methods", shared=0.77)
SKEWED = World(title="skewed: most runs good, one in five bad", draw_effects=draw_skewed)
STABLE_AND_UNSTABLE = World(
    title="standard deviations 0.3 and 3",
    draw_deviations=lambda _, methods: np.where(np.arange(methods) % 2, 3.0, 0.3),
    example_effect=3.0,
    interaction=3.0,
)
SKEWED_AND_STABLE = World(
    title="every second method skewed like this, the others 10 times more stable",
    draw_effects=draw_skewed,
    draw_deviations=lambda _, methods: np.where(np.arange(methods) % 2, 1.0, 0.1),
)
CHOSEN_ON = (  # with the worlds above, those that the rule was chosen on
    World(title="lognormal variances", draw_deviations=draw_unequal),
    World(title="half of the methods 5 times less stable", draw_deviations=make_half_unstable),
    World(title="one method 10 times less stable", draw_deviations=make_one_unstable),
    World(title="t with 3 degrees of freedom", draw_effects=draw_t3),
    World(title="lognormal bad luck", draw_effects=draw_lognormal),
    World(title="10 % outliers, 5 times as far", draw_effects=draw_outliers),
    CORRELATED,
    World(title="correlated +0.77 and lognormal variances", shared=0.77, draw_deviations=draw_unequal),
)


def draw_laplace(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Draw from the Laplace distribution with a variance of one."""
    return np.asarray(generator.laplace(0, math.sqrt(0.5), size=shape))


def draw_two_kinds(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Runs end in one of two equally frequent optima."""
    return np.asarray(
        math.sqrt(0.9) * generator.choice([-1.0, 1.0], size=shape) + generator.normal(0, math.sqrt(0.1), size=shape)
    )


def draw_gamma_bad_luck(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Draw mostly good luck and some very bad, with a variance of one."""
    return np.asarray((2 - generator.gamma(2, size=shape)) / math.sqrt(2))


UNSEEN = (  # measured once, after the rule was chosen
    World(title="exponential variances", draw_deviations=lambda g, methods: np.sqrt(g.exponential(size=methods))),
    World(
        title="a third of the methods 3 times less stable",
        draw_deviations=lambda _, methods: np.where(np.arange(methods) % 3, 0.33, 1.0),
    ),
    World(title="Laplace", draw_effects=draw_laplace),
    World(title="two optima", draw_effects=draw_two_kinds),
    World(title="gamma bad luck, deviations 0.5 to 1.5", draw_effects=draw_gamma_bad_luck,
          draw_deviations=lambda g, methods: g.uniform(0.5, 1.5, size=methods)),
    World(title="correlated +0.5, Laplace", draw_effects=draw_laplace, shared=0.5),
)  # fmt: skip
