"""How a search divides its tries."""

import math

import pytest

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range
from tuneoff.search.halving import count_space, count_tries


@pytest.mark.parametrize(
    ("configurations", "at_rungs", "last_tries", "second_seed"),
    [
        (1, (1, 1, 1), 0, 0),
        (2, (2, 2, 2), 0, 2),
        (3, (2, 2, 2), 1, 2),
        (4, (2, 2, 2), 2, 2),
        (6, (4, 2, 2), 2, 2),
        (8, (6, 3, 2), 2, 2),
        (12, (9, 5, 3), 3, 2),
    ],
)
def test_one_in_four_is_a_last_try_and_two_reach_the_last_rung(
    configurations: int, at_rungs: tuple[int, ...], last_tries: int, second_seed: int
) -> None:
    counts = count_tries(SearchOptions(rungs=3, eta=2), configurations)
    assert (counts.at_rungs, counts.last_tries, counts.second_seed) == (at_rungs, last_tries, second_seed)
    assert counts.configurations == configurations


def test_a_space_has_as_many_configurations_as_its_choices_allow() -> None:
    assert count_space({"rank": (4, 8), "tokens": Range(low=1, high=5)}) == 10
    assert count_space({"rank": (4, 8), "learning_rate": Range(low=1e-4, high=1e-2)}) == math.inf
