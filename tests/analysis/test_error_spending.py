"""The error that each look spends."""

import numpy as np
import pytest
from scipy import stats

from tuneoff.analysis.error_spending import FIRST_LOOK, compute_spent_share, get_look_confidence


@pytest.mark.parametrize("planned", [2, 3, 10])
def test_the_shares_grow_with_every_look_and_never_add_up_to_more_than_one(planned: int) -> None:
    shares = [compute_spent_share(seeds, planned) for seeds in range(FIRST_LOOK, 500)]
    assert np.all(np.diff(shares) > 0)
    assert shares[0] > 0
    assert shares[-1] < 1


def test_nine_tenths_are_spent_by_the_planned_number_of_seeds() -> None:
    assert compute_spent_share(10, 10) == pytest.approx(0.9)
    assert compute_spent_share(4, 10) == pytest.approx(0.3)


@pytest.mark.parametrize(("planned", "confidence"), [(2, 0.95), (5, 0.9), (10, 0.95)])
def test_repeated_t_tests_reject_as_often_as_stated_over_all_looks(planned: int, confidence: float) -> None:
    """With other random numbers than those that the levels were computed with."""
    looks, families = 2 * planned + 3, 20_000
    differences_RS = np.random.default_rng(11).normal(size=(families, looks))
    has_rejected_R = np.zeros(families, dtype=bool)
    for seeds in range(FIRST_LOOK, looks + 1):
        p_R = stats.ttest_1samp(differences_RS[:, :seeds], 0, axis=1).pvalue
        has_rejected_R |= p_R < 1 - get_look_confidence(seeds, planned, confidence)
        if seeds == planned:
            share = (1 - confidence) * compute_spent_share(planned, planned)
            assert has_rejected_R.mean() == pytest.approx(share, abs=4 * np.sqrt(share / families))
    assert has_rejected_R.mean() <= 1 - confidence


def test_a_look_that_is_not_simulated_has_its_share_of_the_error_alone() -> None:
    share = compute_spent_share(21, 10) - compute_spent_share(20, 10)
    assert get_look_confidence(21, 10, 0.95) == pytest.approx(1 - 0.05 * share)


def test_a_look_is_less_strict_than_its_share_alone_would_be() -> None:
    shares = [0.05 * (compute_spent_share(s, 10) - compute_spent_share(s - 1, 10)) for s in range(3, 11)]
    levels = [1 - get_look_confidence(seeds, 10, 0.95) for seeds in range(3, 11)]
    assert all(level > share for level, share in zip(levels, shares, strict=True))
    assert levels[-1] > 2.5 * shares[-1]
