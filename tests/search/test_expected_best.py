"""The expected best of n tries, checked by enumerating subsets."""

from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneoff.search.expected_best import compute_expected_best

LOSSES = [2.9, 2.4, 3.3, 2.4, 2.7, 4.0]
score_lists = st.lists(st.floats(min_value=-100, max_value=100), min_size=1, max_size=8)


def estimate_with_replacement(losses: list[float], n: int) -> float:
    """Return Dodge et al.'s estimate of the lowest of n, from the empirical distribution function."""
    count = len(losses)
    chance_at_least = [((count - i) / count) ** n for i in range(count + 1)]  # none of n is among the i lowest
    return sum(x * (chance_at_least[i] - chance_at_least[i + 1]) for i, x in enumerate(sorted(losses)))


@given(score_lists)
def test_the_expected_best_of_n_is_the_mean_over_all_subsets_of_n(scores: list[float]) -> None:
    for best, lower in ((min, True), (max, False)):
        subsets = [fmean(map(best, combinations(scores, n))) for n in range(1, len(scores) + 1)]
        assert compute_expected_best(scores, lower_is_better=lower) == pytest.approx(subsets)


def test_the_expected_best_of_one_try_is_the_mean_and_of_all_tries_the_best() -> None:
    of_one, *_, of_all = compute_expected_best(LOSSES, lower_is_better=True)
    assert of_one == pytest.approx(fmean(LOSSES))
    assert of_all == min(LOSSES)


def test_the_expected_best_never_gets_worse_with_more_tries() -> None:
    curve = compute_expected_best([-loss for loss in LOSSES], lower_is_better=False)
    assert list(curve) == sorted(curve, key=lambda score: (score is None, score))


def test_drawing_with_replacement_is_biased_towards_a_worse_best() -> None:
    unbiased = compute_expected_best(LOSSES, lower_is_better=True)
    biased = [estimate_with_replacement(LOSSES, n) for n in range(1, len(LOSSES) + 1)]
    assert biased[0] == pytest.approx(unbiased[0])
    assert all(
        with_bias > without for without, with_bias in zip(unbiased[1:], biased[1:], strict=True) if without is not None
    )


def test_a_diverged_try_counts_as_worse_than_any_score() -> None:
    assert compute_expected_best([2.0, None, 3.0], lower_is_better=True) == (None, pytest.approx((2 + 2 + 3) / 3), 2.0)


def test_there_is_no_expected_best_if_every_try_diverged() -> None:
    assert compute_expected_best([None, None], lower_is_better=False) == (None, None)
