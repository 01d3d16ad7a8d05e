"""The rules of successive halving."""

from tuneoff.config.search import SearchOptions
from tuneoff.search.halving import count_at_rungs, find_edge


def test_a_diverged_rate_bounds_the_best_from_above() -> None:
    assert find_edge([(1e-3, 2.0), (1e-2, 1.0), (1e-1, None)], lower_is_better=True) is None
    assert find_edge([(1e-3, 2.0), (1e-2, 1.0)], lower_is_better=True) == "high"
    assert find_edge([(1e-3, 2.0), (1e-2, 1.0)], lower_is_better=False) == "low"


def test_each_rung_has_the_best_half_of_the_one_below_rounded_up() -> None:
    assert count_at_rungs(SearchOptions(rungs=3, eta=2), 5) == (5, 3, 2)
