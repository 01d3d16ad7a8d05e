"""How often equal methods are declared different, in small simulations, also of worlds that the rule was not chosen on.

`benchmarks.verdict_calibration` measures the same with more families and in more worlds.
"""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.verdict import worlds
from benchmarks.verdict.families import measure_false_share, measure_lost_seed, measure_power, measure_two_metrics

FAMILIES = 250


def find_most(share: float) -> float:
    """The share that one simulation in a thousand exceeds if this one is true."""
    return float(binom.isf(0.001, FAMILIES, share)) / FAMILIES


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("methods", [2, 3, 8])
@pytest.mark.parametrize("world", [worlds.EQUAL, *worlds.UNSEEN], ids=lambda world: world.title)
def test_families_of_three_seeds_rarely_have_a_false_difference(
    world: worlds.World, methods: int, generator: np.random.Generator
) -> None:
    assert measure_false_share(generator, world, methods, 3, FAMILIES // 2) <= find_most(0.06) + 0.02


@pytest.mark.parametrize("world", [worlds.EQUAL, worlds.CORRELATED, worlds.SKEWED], ids=lambda world: world.title)
@pytest.mark.parametrize("methods", [4, 8])
def test_families_of_two_seeds_rarely_have_a_false_difference(
    world: worlds.World, methods: int, generator: np.random.Generator
) -> None:
    assert measure_false_share(generator, world, methods, 2, FAMILIES) <= find_most(0.05)


def test_each_of_two_metrics_rarely_has_a_false_difference(generator: np.random.Generator) -> None:
    by_rouge, by_loss, _ = measure_two_metrics(generator, worlds.EQUAL, 8, 2, FAMILIES)
    assert max(by_rouge, by_loss) <= find_most(0.05)


@pytest.mark.parametrize("seeds", [2, 3])
def test_a_stable_and_an_unstable_method_are_rarely_declared_different(
    seeds: int, generator: np.random.Generator
) -> None:
    assert measure_false_share(generator, worlds.STABLE_AND_UNSTABLE, 2, seeds, FAMILIES, examples=200) <= find_most(
        0.05
    )


def test_methods_that_lost_a_seed_are_rarely_declared_different(generator: np.random.Generator) -> None:
    assert measure_lost_seed(generator, worlds.EQUAL, 4, 3, FAMILIES) <= find_most(0.05)


def test_pairing_over_seeds_finds_a_difference_that_unpaired_seeds_hide(generator: np.random.Generator) -> None:
    correlated, _ = measure_power(generator, worlds.CORRELATED, 4, 3, FAMILIES // 2, advantage=1.5)
    equal, _ = measure_power(generator, worlds.EQUAL, 4, 3, FAMILIES // 2, advantage=1.5)
    assert correlated > equal + 0.2
