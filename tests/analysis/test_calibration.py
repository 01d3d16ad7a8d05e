"""Calibration of the verdict on a small scale, and that calibration detects a wrong verdict."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulation import make_comparison, simulate_pair
from tuneoff.analysis import calibration as calibration_module
from tuneoff.analysis.calibration import (
    Calibration,
    calibrate_comparisons,
    calibrate_method,
    draw_from_records,
    draw_simulated,
    is_different,
)
from tuneoff.analysis.statistics import PairedDifference, ScoreMatrix
from tuneoff.records.metrics import LOSS, ROUGE_L

PAIRS = 250
MOST_FALSE = int(stats.binom.isf(0.001, PAIRS, 0.05))  # of a share of 5 %, in 999 of 1000 runs


def calibrate_simulation(*, seeds: int = 3, seed_effect: float = 2.0) -> Calibration:
    """Calibrate on simulated A/A pairs with known variance."""

    def draw(generator: np.random.Generator) -> tuple[ScoreMatrix, ScoreMatrix]:
        pair = simulate_pair(generator, seeds=seeds, seed_effect=seed_effect)
        return pair.first, pair.second

    return calibrate_method(draw, label="lora", metric=ROUGE_L, source="simulated", pairs=PAIRS, confidence=0.95)


REGIMES = [(2, 0.5), (2, 2.0), (3, 0.0), (3, 2.0), (5, 2.0)]


@pytest.fixture(
    scope="module", params=REGIMES, ids=[f"{seeds} seeds, seed effect {seed_effect}" for seeds, seed_effect in REGIMES]
)
def calibration(request: pytest.FixtureRequest) -> Calibration:
    seeds, seed_effect = request.param
    return calibrate_simulation(seeds=seeds, seed_effect=seed_effect)


# The verdict


def test_at_most_one_in_twenty_aa_pairs_has_a_winner(calibration: Calibration) -> None:
    assert calibration.false_winners <= MOST_FALSE


def test_a_planted_difference_is_detected_about_as_often_as_stated(calibration: Calibration) -> None:
    assert calibration.stated_power == pytest.approx(0.8)
    assert 0.6 < calibration.observed_power < 0.92


@pytest.mark.parametrize("shift", [0.0, 3.0, 6.0])
def test_the_calibrated_rule_is_that_of_the_comparison(shift: float) -> None:
    generator, own, rule = np.random.default_rng(1), [], []
    for _ in range(5):
        pair = simulate_pair(generator, seed_effect=1, difference=shift)
        comparison = make_comparison(
            {"lora": pair.first.numerators_SE, "full": pair.second.numerators_SE}, margin_rouge=0.0
        )
        own.append(comparison.get_pairs(ROUGE_L)[0].decision == "different")
        rule.append(is_different(comparison.get_pairs(ROUGE_L)[0].paired, 0.95))
    assert rule == own


# A wrong verdict


def test_a_verdict_that_ignores_seed_variance_has_too_many_false_winners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ScoreMatrix, "between_seeds_variance", 0.0)
    assert calibrate_simulation().false_winners > MOST_FALSE


def test_a_verdict_on_one_seed_has_too_many_false_winners() -> None:
    assert calibrate_simulation(seeds=1).false_winners > MOST_FALSE


def test_a_verdict_that_rarely_decides_has_too_few_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    rule: Callable[[PairedDifference, float], bool] = calibration_module.is_different
    monkeypatch.setattr(calibration_module, "is_different", lambda pair, _: rule(pair, 0.999))
    calibration = calibrate_simulation()
    assert calibration.false_winners == 0
    assert calibration.observed_power < 0.4


def test_a_verdict_for_the_wrong_side_has_no_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_module, "is_different", lambda *_: True)
    monkeypatch.setattr(PairedDifference, "mean", -1.0)
    assert calibrate_simulation().detections == 0


# How pairs are drawn


@pytest.fixture
def scores() -> ScoreMatrix:
    """Scores of eight seeds on forty examples."""
    return simulate_pair(np.random.default_rng(2), seeds=8, seed_effect=2).first


def test_pairs_from_records_share_no_seed() -> None:
    numbered = ScoreMatrix(np.arange(8.0)[:, None] + np.zeros((8, 40)), np.ones(40))
    first, second = draw_from_records(numbered, 3)(np.random.default_rng(1))
    assert len({*first.numerators_SE[:, 0], *second.numerators_SE[:, 0]}) == 6


def test_both_sides_of_a_pair_from_records_have_the_same_resampled_examples() -> None:
    numbered = ScoreMatrix(np.zeros((8, 40)) + np.arange(40.0), np.ones(40))
    first, second = draw_from_records(numbered, 3)(np.random.default_rng(1))
    assert first.numerators_SE[0].tolist() == second.numerators_SE[0].tolist()
    assert 20 < len(set(first.numerators_SE[0])) < 32


def test_simulated_pairs_have_the_variance_components_of_the_method(scores: ScoreMatrix) -> None:
    generator = np.random.default_rng(1)
    sides = [side for _ in range(500) for side in draw_simulated(scores, 8)(generator)]
    assert np.mean([side.between_seeds_variance for side in sides]) == pytest.approx(
        scores.between_seeds_variance, rel=0.1
    )
    assert np.mean([side.interaction_variance for side in sides]) == pytest.approx(scores.interaction_variance, rel=0.1)
    assert np.mean([side.mean for side in sides]) == pytest.approx(scores.mean, rel=0.02)


def test_records_are_used_if_they_have_two_groups_of_three_seeds(scores: ScoreMatrix) -> None:
    six, five = ({"lora": scores.numerators_SE[:seeds]} for seeds in (6, 5))
    assert [c.source for c in calibrate_comparisons({"": make_comparison(six)}, pairs=2)] == ["records"] * 2
    assert [c.source for c in calibrate_comparisons({"": make_comparison(five)}, pairs=2)] == ["simulated"] * 2


def test_every_method_with_two_seeds_is_calibrated_by_rouge_and_by_loss(scores: ScoreMatrix) -> None:
    comparison = make_comparison(
        {"base": scores.numerators_SE[:1], "full": scores.numerators_SE[:1], "lora": scores.numerators_SE[1:4]}
    )
    calibrations = list(calibrate_comparisons({"": comparison}, pairs=2))
    assert [(c.label, c.metric) for c in calibrations] == [("lora", ROUGE_L), ("lora", LOSS)]


def test_methods_of_several_comparisons_are_labeled_with_the_comparison(scores: ScoreMatrix) -> None:
    comparison = make_comparison({"lora": scores.numerators_SE[:2]})
    assert [c.label for c in calibrate_comparisons({"a": comparison, "b": comparison}, pairs=2)] == ["a: lora"] * 2 + [
        "b: lora"
    ] * 2


def test_calibration_is_reproducible(scores: ScoreMatrix) -> None:
    comparison = {"": make_comparison({"lora": scores.numerators_SE[:2]})}
    assert list(calibrate_comparisons(comparison, pairs=20)) == list(calibrate_comparisons(comparison, pairs=20))


def test_without_any_noise_every_planted_difference_is_detected() -> None:
    constant = ScoreMatrix(np.full((2, 40), 20.0), np.ones(40))
    calibration = calibrate_method(
        draw_simulated(constant, 3), label="lora", metric=ROUGE_L, source="simulated", pairs=5, confidence=0.95
    )
    assert (calibration.false_winners, calibration.observed_power, calibration.stated_power) == (0, 1, 1)


# The table


SOME = Calibration(
    label="lora", metric=LOSS, seeds=3, examples=300, source="records", pairs=1000, false_winners=41,
    planted_difference=0.01234, stated_power=0.8, detections=774,
)  # fmt: skip


def test_the_interval_of_the_share_of_false_winners_is_exact() -> None:
    assert dataclasses.replace(SOME, pairs=20, false_winners=0).false_winner_interval == pytest.approx(
        (0, 1 - 0.025 ** (1 / 20))
    )


def test_the_markdown_table_has_a_line_for_each_calibration() -> None:
    assert (
        calibration_module.format_markdown([SOME, SOME]).splitlines()[2:]
        == ["| lora | Loss | records | 3 × 300 | 4.1 % | 3.0 to 5.5 | 0.012 | 77 % | 80 % |"] * 2
    )


def test_a_pipe_in_a_label_does_not_end_its_cell() -> None:
    assert r"| lora \| wide |" in calibration_module.format_markdown([dataclasses.replace(SOME, label="lora | wide")])
