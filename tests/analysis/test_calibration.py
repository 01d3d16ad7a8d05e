"""The verdict put to the test, on a small scale; and that this test can fail."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulation import make_comparison, simulate_pair
from tuneoff.analysis import calibration as judged
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
MOST_FALSE = int(stats.binom.isf(0.001, PAIRS, 0.05))  # of as many, if one in twenty is


def calibrated(*, seeds: int = 3, seed_effect: float = 2.0) -> Calibration:
    """Pairs of methods that are one and the same, from known noise."""

    def draw(generator: np.random.Generator) -> tuple[ScoreMatrix, ScoreMatrix]:
        pair = simulate_pair(generator, seeds=seeds, seed_effect=seed_effect)
        return pair.first, pair.second

    return calibrate_method(draw, label="lora", metric=ROUGE_L, source="simulated", pairs=PAIRS, confidence=0.95)


REGIMES = [(2, 0.5), (2, 2.0), (3, 0.0), (3, 2.0), (5, 2.0)]


@pytest.fixture(
    scope="module", params=REGIMES, ids=[f"{seeds} seeds, seed effect {seed_effect}" for seeds, seed_effect in REGIMES]
)
def found(request: pytest.FixtureRequest) -> Calibration:
    seeds, seed_effect = request.param
    return calibrated(seeds=seeds, seed_effect=seed_effect)


# The verdict


def test_one_method_under_two_groups_of_seeds_has_a_winner_in_one_of_twenty_at_most(found: Calibration) -> None:
    assert found.false_winners <= MOST_FALSE


def test_a_planted_difference_is_found_about_as_often_as_stated(found: Calibration) -> None:
    assert found.stated_power == pytest.approx(0.8)
    assert 0.6 < found.observed_power < 0.92


@pytest.mark.parametrize("shift", [0.0, 3.0, 6.0])
def test_the_rule_that_is_calibrated_is_the_comparisons_own(shift: float) -> None:
    generator, own, rule = np.random.default_rng(1), [], []
    for _ in range(5):
        pair = simulate_pair(generator, seed_effect=1, difference=shift)
        comparison = make_comparison(
            {"lora": pair.first.numerators_SE, "full": pair.second.numerators_SE}, margin_rouge=0.0
        )
        own.append(comparison.get_pairs(ROUGE_L)[0].decision == "different")
        rule.append(is_different(comparison.get_pairs(ROUGE_L)[0].paired, 0.95))
    assert rule == own


# That it can fail


def test_a_verdict_that_ignores_the_luck_of_seeds_is_caught_by_its_false_winners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ScoreMatrix, "between_seeds_variance", 0.0)
    assert calibrated().false_winners > MOST_FALSE


def test_a_verdict_with_one_seed_is_caught_by_its_false_winners() -> None:
    assert calibrated(seeds=1).false_winners > MOST_FALSE


def test_a_verdict_that_hardly_ever_decides_is_caught_by_what_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rule: Callable[[PairedDifference, float], bool] = judged.is_different
    monkeypatch.setattr(judged, "is_different", lambda pair, _: rule(pair, 0.999))
    found = calibrated()
    assert found.false_winners == 0
    assert found.observed_power < 0.4


def test_a_verdict_that_gets_the_side_wrong_has_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "is_different", lambda *_: True)
    monkeypatch.setattr(PairedDifference, "mean", -1.0)
    assert calibrated().detections == 0


# Where its pairs come from


@pytest.fixture
def whole() -> ScoreMatrix:
    """Eight seeds by forty examples."""
    return simulate_pair(np.random.default_rng(2), seeds=8, seed_effect=2).first


def test_pairs_from_records_share_no_seed() -> None:
    numbered = ScoreMatrix(np.arange(8.0)[:, None] + np.zeros((8, 40)), np.ones(40))
    ours, theirs = draw_from_records(numbered, 3)(np.random.default_rng(1))
    assert len({*ours.numerators_SE[:, 0], *theirs.numerators_SE[:, 0]}) == 6


def test_pairs_from_records_answer_the_same_examples_some_of_them_twice() -> None:
    numbered = ScoreMatrix(np.zeros((8, 40)) + np.arange(40.0), np.ones(40))
    ours, theirs = draw_from_records(numbered, 3)(np.random.default_rng(1))
    assert ours.numerators_SE[0].tolist() == theirs.numerators_SE[0].tolist()
    assert 20 < len(set(ours.numerators_SE[0])) < 32


def test_simulated_pairs_are_as_noisy_as_the_method_that_they_imitate(whole: ScoreMatrix) -> None:
    generator = np.random.default_rng(1)
    sides = [side for _ in range(500) for side in draw_simulated(whole, 8)(generator)]
    assert np.mean([side.between_seeds_variance for side in sides]) == pytest.approx(
        whole.between_seeds_variance, rel=0.1
    )
    assert np.mean([side.interaction_variance for side in sides]) == pytest.approx(whole.interaction_variance, rel=0.1)
    assert np.mean([side.mean for side in sides]) == pytest.approx(whole.mean, rel=0.02)


def test_six_seeds_are_enough_for_two_groups_of_three(whole: ScoreMatrix) -> None:
    six, five = ({"lora": whole.numerators_SE[:seeds]} for seeds in (6, 5))
    assert [one.source for one in calibrate_comparisons({"": make_comparison(six)}, pairs=2)] == ["records"] * 2
    assert [one.source for one in calibrate_comparisons({"": make_comparison(five)}, pairs=2)] == ["simulated"] * 2


def test_every_method_with_two_seeds_is_calibrated_by_rouge_and_by_loss(whole: ScoreMatrix) -> None:
    comparison = make_comparison(
        {"base": whole.numerators_SE[:1], "full": whole.numerators_SE[:1], "lora": whole.numerators_SE[1:4]}
    )
    found = list(calibrate_comparisons({"": comparison}, pairs=2))
    assert [(one.label, one.metric) for one in found] == [("lora", ROUGE_L), ("lora", LOSS)]


def test_methods_of_several_comparisons_are_told_apart(whole: ScoreMatrix) -> None:
    one = make_comparison({"lora": whole.numerators_SE[:2]})
    assert [c.label for c in calibrate_comparisons({"a": one, "b": one}, pairs=2)] == ["a: lora"] * 2 + ["b: lora"] * 2


def test_the_same_records_give_the_same_figures(whole: ScoreMatrix) -> None:
    comparison = {"": make_comparison({"lora": whole.numerators_SE[:2]})}
    assert list(calibrate_comparisons(comparison, pairs=20)) == list(calibrate_comparisons(comparison, pairs=20))


def test_answers_without_any_noise_are_told_apart_at_once() -> None:
    same = ScoreMatrix(np.full((2, 40), 20.0), np.ones(40))
    found = calibrate_method(
        draw_simulated(same, 3), label="lora", metric=ROUGE_L, source="simulated", pairs=5, confidence=0.95
    )
    assert (found.false_winners, found.observed_power, found.stated_power) == (0, 1, 1)


# What is told of it


SOME = Calibration(
    label="lora", metric=LOSS, seeds=3, examples=300, source="records", pairs=1000, false_winners=41,
    planted_difference=0.01234, stated_power=0.8, detections=774,
)  # fmt: skip


def test_the_share_of_false_winners_has_its_exact_interval() -> None:
    assert dataclasses.replace(SOME, pairs=20, false_winners=0).false_winner_interval == pytest.approx(
        (0, 1 - 0.025 ** (1 / 20))
    )


def test_the_markdown_has_a_line_for_each() -> None:
    assert (
        judged.format_markdown([SOME, SOME]).splitlines()[2:]
        == ["| lora | Loss | records | 3 × 300 | 4.1 % | 3.0 to 5.5 | 0.012 | 77 % | 80 % |"] * 2
    )


def test_a_bar_in_a_label_does_not_end_its_cell() -> None:
    assert r"| lora \| wide |" in judged.format_markdown([dataclasses.replace(SOME, label="lora | wide")])
