"""A small version of the simulation whose figures are in docs/concepts/calibration.md."""

import pytest

from benchmarks.search_calibration import SHAPES, World, simulate_pairs


@pytest.mark.parametrize(("shape", "configurations"), [("parabola", 6), ("wall", 4)])
def test_equally_good_methods_are_hardly_ever_different_after_a_search(shape: str, configurations: int) -> None:
    tally = simulate_pairs(World(shape=SHAPES[shape]), configurations, seeds=3, difference=0.0, pairs=20)
    assert tally.different_with_regret <= 1
    assert tally.covered >= 0.9 * len(tally.regrets)


def test_a_large_difference_is_still_found() -> None:
    tally = simulate_pairs(World(), 6, seeds=3, difference=0.1, pairs=20)
    assert tally.different_with_regret >= 16


def test_the_last_tries_leave_little_to_gain() -> None:
    tally = simulate_pairs(World(validation_noise=0.0), 6, seeds=3, difference=0.0, pairs=20)
    assert sum(tally.regrets) / len(tally.regrets) < 0.003  # nats; 0.01 without last tries
