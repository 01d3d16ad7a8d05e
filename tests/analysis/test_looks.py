"""What one look decides, and what all of them do."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.verdict.looks import take_looks
from tests.analysis.simulation import Array, make_scores, simulate_pair
from tuneoff.analysis.error_spending import get_look_confidence
from tuneoff.analysis.family import compare_all
from tuneoff.analysis.looks import Look, Rules, compare_at_look, take_look
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.metrics import LOSS, ROUGE_L, Metric

SEEDS = 6


def make_rules(metric: Metric = ROUGE_L, margin: float = 0.0, methods: int = 3, **changes: object) -> Rules:
    return Rules(metric=metric, margin=margin, confidence=0.95, planned=SEEDS, methods=methods, **changes)  # type: ignore[arg-type]


def draw(mean: float, stream: int, seed_effect: float = 0.3) -> ScoreMatrix:
    """Scores of a method that hardly differ between seeds."""
    generator = np.random.default_rng(stream)
    difficulty_E = np.random.default_rng(99).normal(0, 8, 30)
    noise_SE = generator.normal(0, 0.5, (SEEDS, 30)) + generator.normal(0, seed_effect, (SEEDS, 1))
    return make_scores(mean + difficulty_E + noise_SE)


def look_at(rules: Rules, **scores: ScoreMatrix) -> tuple[Look, ...]:
    return take_looks(scores, range(SEEDS), rules)


def test_a_method_that_is_shown_to_be_worse_is_dropped_and_named_with_the_better_one() -> None:
    looks = look_at(make_rules(), lora=draw(20, 1), full=draw(20.1, 2), prompt=draw(10, 3))
    (look,) = [look for look in looks if look.dropped]
    assert look.dropped in ({"prompt": "lora"}, {"prompt": "full"})
    assert not looks[-1].is_decided
    assert len(looks) == SEEDS - 1


def test_the_looks_end_when_one_method_is_left() -> None:
    looks = look_at(make_rules(methods=2), good=draw(20, 1), bad=draw(5, 2))
    assert looks[-1].is_decided
    assert len(looks) < SEEDS - 1


def test_the_looks_end_when_all_that_are_left_are_equal_within_the_margin() -> None:
    looks = look_at(make_rules(margin=15), lora=draw(20, 1), full=draw(20.1, 2), prompt=draw(-20, 3))
    assert looks[-1].is_decided
    assert {label for look in looks for label in look.dropped} == {"prompt"}


def test_a_lower_loss_is_better() -> None:
    looks = look_at(make_rules(LOSS, methods=2), high=draw(20, 1), low=draw(5, 2))
    assert looks[-1].dropped == {"high": "low"}


def test_what_a_search_may_still_gain_keeps_a_method() -> None:
    methods = {"good": draw(20, 1), "bad": draw(17, 2)}
    assert look_at(make_rules(methods=2), **methods)[-1].dropped
    assert not look_at(make_rules(methods=2, regrets={"bad": 5.0}), **methods)[-1].dropped


def test_a_method_without_a_score_is_dropped_at_the_first_look() -> None:
    nothing = ScoreMatrix(np.zeros((0, 1)), np.ones(1))
    looks = look_at(make_rules(), lora=draw(20, 1), full=draw(20.1, 2), broken=nothing)
    assert looks[0].dropped == {"broken": None}


def test_a_method_with_one_score_is_not_decided() -> None:
    """Its other run failed, so that its variation between runs is unknown."""
    once = draw(5, 2).select_seeds([0])
    look = take_look({"lora": draw(20, 1).select_seeds([0, 1]), "once": once}, 2, make_rules(methods=2))
    assert (dict(look.dropped), look.is_decided) == ({}, False)


def test_a_look_has_the_critical_values_of_all_methods_also_after_drops() -> None:
    scores = [draw(20, 1), draw(20.1, 2)]
    few = compare_at_look(scores, 2, 0.99)[0, 1].compute_half_width(0.95)
    many = compare_at_look(scores, 8, 0.99)[0, 1].compute_half_width(0.95)
    assert many > 1.2 * few


def test_between_seeds_an_interval_has_the_confidence_of_the_look() -> None:
    pair = [make_scores([[20.0], [21.0], [25.0]]), make_scores([[26.0], [27.5], [27.0]])]
    at_look = compare_at_look(pair, 2, 0.99)[0, 1]
    assert at_look.compute_half_width(0.95) == pytest.approx(compare_all(pair)[0, 1].compute_half_width(0.99))
    assert (at_look.compute_p(0.95) < 0.05) == (abs(at_look.mean) > at_look.compute_half_width(0.95))


def test_examples_that_are_the_same_at_every_look_need_little_more_than_one_look() -> None:
    generator = np.random.default_rng(3)
    pair = [make_scores([generator.normal(20, 4, 50)] * 2) for _ in range(2)]
    once, at_look = compare_all(pair)[0, 1], compare_at_look(pair, 2, 0.999)[0, 1]
    assert at_look.compute_half_width(0.95) < 1.1 * once.compute_half_width(0.95)


@pytest.mark.parametrize("world", [{"seed_effect": 2.0}, {"seed_effect": 0.5, "example_effect": 8.0}], ids=str)
def test_equal_methods_are_rarely_found_different_at_any_look(world: dict[str, float]) -> None:
    generator, families, found = np.random.default_rng(4), 150, 0
    for _ in range(families):
        pair = simulate_pair(generator, seeds=SEEDS, interaction=4.0, **world)  # type: ignore[arg-type]
        looks = take_looks({"a": pair.first, "b": pair.second}, range(SEEDS), make_rules(methods=2))
        found += bool(looks[-1].dropped)
    assert found <= stats.binom.isf(0.001, families, 0.05)


def test_the_confidence_of_each_look_is_that_of_its_number_of_seeds() -> None:
    looks = look_at(make_rules(methods=2), a=draw(20, 1), b=draw(20.05, 2))
    assert [look.confidence for look in looks] == [get_look_confidence(s, SEEDS, 0.95) for s in range(2, SEEDS + 1)]


def test_only_the_rows_of_selected_seeds_remain() -> None:
    scores_SE: Array = np.arange(6.0).reshape(3, 2)
    matrix = ScoreMatrix(scores_SE, np.ones(2), seed_ids=(4, 7, 9))
    assert matrix.select_seeds([9, 4]).numerators_SE.tolist() == [[0, 1], [4, 5]]
    assert matrix.select_seeds([9, 4]).seed_ids == (4, 9)
    base = ScoreMatrix(scores_SE[:1], np.ones(2), trained=False)
    assert base.select_seeds([9]) is base


def test_an_outlook_on_more_seeds_has_the_width_that_the_later_look_has() -> None:
    """Where examples decide, a look is hardly wider than a single verdict, and the outlook must not say that it is."""
    generator = np.random.default_rng(5)
    wide = [make_scores(20 + i + generator.normal(0, 8, 60) + generator.normal(0, 0.01, (3, 60))) for i in range(3)]
    paired = compare_all(wide, look_confidence=0.99)[0, 1]
    assert math.sqrt(paired.square_examples_width(0.95, 0.99)) == pytest.approx(
        paired.compute_half_width(0.95), rel=0.01
    )
    assert paired.square_examples_width(0.95, None) < paired.square_examples_width(0.95, 0.99)
