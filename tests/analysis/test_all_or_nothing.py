"""Scores that are right or wrong: that all examples agree is no proof that all others would."""

import numpy as np
import pytest

from tests.report.test_metrics import LANGUAGES, make_comparison
from tuneoff.analysis.family import compare_all
from tuneoff.analysis.statistics import ScoreMatrix, estimate_mean
from tuneoff.analysis.verdict import decide_verdict


def make_matrix(right_E: np.ndarray, step: float = 100.0) -> ScoreMatrix:
    return ScoreMatrix(100.0 * right_E[None, :], np.ones(len(right_E)), trained=False, step=step)


def test_nothing_right_in_forty_is_no_proof_of_never() -> None:
    estimate = estimate_mean(make_matrix(np.zeros(40)), 0.95)
    assert (estimate.low, estimate.mean) == (0.0, 0.0)
    assert 6 < estimate.high < 8  # by the rule of three, 7.5


def test_an_interval_stays_within_the_range_of_a_share() -> None:
    assert estimate_mean(make_matrix(np.ones(40)), 0.95).high == 100.0


def test_two_methods_that_are_always_wrong_are_not_shown_to_be_equal() -> None:
    comparison = make_comparison(LANGUAGES, ["nonsense"], metrics=["accuracy"])
    assert decide_verdict(comparison, comparison.metric).kind == "open"


def test_only_scores_that_count_examples_have_a_step() -> None:
    comparison = make_comparison(LANGUAGES, ["C"], metrics=["exact", "macro_f1", "f1", "rougeL", "edit"])
    steps = {name: matrix.step for name, matrix in comparison.rows[0].matrices.items()}
    assert steps == {"exact": 100, "macro_f1": 100, "f1": 0, "rougeL": 0, "edit": 0, "loss": 0}


@pytest.mark.parametrize(("examples", "chance"), [(40, 0.02), (40, 0.2), (100, 0.5), (200, 0.01)])
def test_the_interval_of_a_difference_contains_it_as_often_as_stated(examples: int, chance: float) -> None:
    """Two methods with chances of their own, half of the time right on the same examples."""
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        shared_E, is_shared_E = rng.random(examples), rng.random(examples) < 0.5
        draws = [np.where(is_shared_E, shared_E, rng.random(examples)) for _ in range(2)]
        matrices = [make_matrix(draw_E < share) for draw_E, share in zip(draws, (2 * chance, chance), strict=True)]
        estimate = compare_all(matrices)[0, 1].estimate(0.95)
        covered.append(estimate.low <= 100 * chance <= estimate.high)
    assert np.mean(covered) >= 0.95
