"""Calibration of the verdict on a small scale, and that calibration detects a wrong verdict."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from benchmarks.verdict import records, worlds
from benchmarks.verdict.records import measure_interval_coverage
from tests.analysis.simulation import make_comparison
from tuneoff.analysis import calibration as calibration_module
from tuneoff.analysis.calibration import Calibration, calibrate_comparisons, calibrate_family, is_different
from tuneoff.analysis.family import PairedDifference, compare_all
from tuneoff.analysis.null_families import Source, build_draw_from_records, build_simulated_draw, choose_source
from tuneoff.analysis.statistics import ScoreMatrix
from tuneoff.metrics import LOSS, ROUGE_L

Array = NDArray[np.float64]
FAMILIES = 250
MOST_FALSE = int(stats.binom.isf(0.001, FAMILIES, 0.05))  # of a share of 5 %, in 999 of 1000 runs
UNEQUAL = (0.3, 1.0, 3.0)  # standard deviations of three methods' seed effects


def draw_scores(
    generator: np.random.Generator, *, seeds: int, deviations: Sequence[float] = UNEQUAL, shared: float = 0.0
) -> list[Array]:
    """Draw (seed, example) scores of methods with the same true mean, whose seed effects have these deviations.

    Args:
        shared: the share of the seed effects' variance that all methods have in common.
    """
    difficulty_E = generator.normal(20, 8, size=40)
    shared_S = generator.normal(size=seeds)

    def draw_method(deviation: float) -> Array:
        own_S = generator.normal(size=seeds)
        effects_S1 = deviation * (math.sqrt(shared) * shared_S + math.sqrt(1 - shared) * own_S)[:, None]
        return np.asarray(difficulty_E + effects_S1 + generator.normal(0, 2, size=(seeds, 40)))

    return [draw_method(deviation) for deviation in deviations]


def draw_matrices(generator: np.random.Generator, *, seeds: int, shared: float = 0.0) -> list[ScoreMatrix]:
    return [ScoreMatrix(of_method, np.ones(40)) for of_method in draw_scores(generator, seeds=seeds, shared=shared)]


def calibrate_simulation(*, seeds: int = 3, independent: int | None = None) -> Calibration:
    """Calibrate on families of three simulated methods of unequal stability."""
    source = Source(name="simulated", draw=lambda generator: draw_matrices(generator, seeds=seeds))
    return calibrate_family(
        dataclasses.replace(source, independent=independent),
        label="mine", metric=ROUGE_L, methods=("a", "b", "c"), families=FAMILIES, confidence=0.95,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[2, 3, 5])
def calibration(request: pytest.FixtureRequest) -> Calibration:
    return calibrate_simulation(seeds=request.param)


# The verdict


def test_at_most_one_in_twenty_families_without_differences_has_one(calibration: Calibration) -> None:
    assert calibration.false_families <= MOST_FALSE


def test_a_planted_difference_is_detected_about_as_often_as_stated(calibration: Calibration) -> None:
    assert calibration.stated_power == pytest.approx(0.8, abs=0.001)
    assert 0.6 < calibration.observed_power < 0.92


@pytest.mark.parametrize("shift", [0.0, 2.0, 6.0])
def test_the_calibrated_rule_is_that_of_the_comparison(shift: float) -> None:
    generator, own, rule = np.random.default_rng(1), [], []
    for _ in range(5):
        lora, full, soft = draw_scores(generator, seeds=3)
        comparison = make_comparison({"lora": lora + shift, "full": full, "soft-prompt": soft}, margin_rouge=0.0)
        pairs = comparison.get_pairs(ROUGE_L)
        own += [pair.is_beyond_noise for pair in pairs]
        rule += [is_different(pair.paired, 0.95) for pair in pairs]
    assert rule == own
    assert any(rule) == (shift > 0)


# A wrong verdict


def test_a_verdict_that_ignores_seed_variance_has_too_many_false_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = PairedDifference.compute_parts
    monkeypatch.setattr(PairedDifference, "compute_parts", lambda *arguments: parts(*arguments)[:1])
    assert calibrate_simulation().false_families > MOST_FALSE


def test_a_verdict_that_judges_each_pair_alone_has_too_many_false_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    def compare_alone(matrices: Sequence[ScoreMatrix]) -> dict[tuple[int, int], PairedDifference]:
        return {key: dataclasses.replace(pair, methods=2) for key, pair in compare_all(matrices).items()}

    monkeypatch.setattr(calibration_module, "compare_all", compare_alone)
    eight = Source(
        name="simulated",
        draw=lambda generator: [
            ScoreMatrix(of_method, np.ones(40)) for of_method in draw_scores(generator, seeds=3, deviations=[1.0] * 8)
        ],
    )
    result = calibrate_family(
        eight, label="", metric=ROUGE_L, methods=tuple("abcdefgh"), families=FAMILIES // 2, confidence=0.95
    )
    assert result.false_share > 2 * MOST_FALSE / FAMILIES


def test_a_verdict_that_rarely_decides_has_too_few_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_module, "is_different", lambda pair, _: is_different(pair, 0.999))
    calibration = calibrate_simulation()
    assert calibration.false_families <= 1
    assert calibration.observed_power < 0.4


def test_a_verdict_for_the_wrong_side_has_no_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_module, "is_different", lambda *_: True)
    monkeypatch.setattr(PairedDifference, "mean", -1.0)
    assert calibrate_simulation().detections == 0


# How families are drawn


@pytest.fixture
def matrices() -> list[ScoreMatrix]:
    """Scores of three methods of unequal stability, with twelve seeds and a part of the seed effects in common."""
    return draw_matrices(np.random.default_rng(2), seeds=12, shared=0.5)


@pytest.fixture(params=["records", "simulated"])
def drawn(request: pytest.FixtureRequest, matrices: list[ScoreMatrix]) -> list[list[ScoreMatrix]]:
    """Many families drawn from the records, or simulated from their noise."""
    generator = np.random.default_rng(3)
    if request.param == "records":
        draw = build_draw_from_records(matrices, 6)
    else:
        draw = build_simulated_draw(matrices, 6, are_paired=True)
    return [draw(generator) for _ in range(400)]


def test_the_methods_of_drawn_families_have_the_same_true_mean(drawn: list[list[ScoreMatrix]]) -> None:
    means_FM = np.array([[matrix.mean for matrix in family] for family in drawn])
    differences_FM = means_FM - means_FM[:, :1]
    errors_M = differences_FM.std(axis=0) / math.sqrt(len(drawn))
    assert (abs(differences_FM.mean(axis=0)) <= 3.5 * errors_M).all()


def test_each_method_keeps_its_own_variance_between_runs(
    drawn: list[list[ScoreMatrix]], matrices: list[ScoreMatrix]
) -> None:
    for i, matrix in enumerate(matrices):
        assert np.mean([family[i].run_variance for family in drawn]) == pytest.approx(matrix.run_variance, rel=0.15)
        assert np.mean([family[i].interaction_variance for family in drawn]) == pytest.approx(
            matrix.interaction_variance, rel=0.1
        )


def test_methods_keep_what_they_have_in_common_under_a_seed(drawn: list[list[ScoreMatrix]]) -> None:
    covariances_MM = np.mean([np.cov([matrix.seed_effects_S for matrix in family]) for family in drawn], axis=0)
    correlation = covariances_MM[1, 2] / math.sqrt(covariances_MM[1, 1] * covariances_MM[2, 2])
    assert 0.25 < correlation < 0.8


def test_simulated_methods_have_nothing_in_common_if_the_stored_ones_have_different_seeds() -> None:
    first, second = draw_matrices(np.random.default_rng(2), seeds=4, shared=1.0)[1:]
    second = dataclasses.replace(second, seed_ids=(4, 5, 6, 7))
    generator, draw = np.random.default_rng(1), choose_source([first, second], 2).draw
    families = [draw(generator) for _ in range(200)]
    assert not set(families[0][0].seed_ids) & set(families[0][1].seed_ids)
    covariances_MM = np.mean([np.cov([matrix.seed_effects_S for matrix in family]) for family in families], axis=0)
    assert abs(covariances_MM[0, 1]) < 0.25 * math.sqrt(covariances_MM[0, 0] * covariances_MM[1, 1])


def test_all_methods_of_a_family_have_the_same_resampled_examples(matrices: list[ScoreMatrix]) -> None:
    numbered = [dataclasses.replace(matrix, denominators_E=np.arange(1.0, 41)) for matrix in matrices]
    for source in (choose_source(numbered, 3), choose_source(numbered, 12)):
        first, second, _ = source.draw(np.random.default_rng(1))
        assert first.denominators_E.tolist() == second.denominators_E.tolist()
        assert 20 < len(set(first.denominators_E)) < 32


def test_the_base_model_stays_one_run_that_was_not_trained(matrices: list[ScoreMatrix]) -> None:
    base = ScoreMatrix(matrices[0].numerators_SE[:1], np.ones(40), trained=False)
    for source in (choose_source([*matrices, base], 3), choose_source([*matrices, base], 12)):
        drawn = source.draw(np.random.default_rng(1))
        assert [(matrix.trained, matrix.seeds) for matrix in drawn][-2:] == [(True, drawn[0].seeds), (False, 1)]


@pytest.mark.parametrize(("available", "splits"), [(6, 10), (7, 70), (5, None), (3, None)])
def test_the_distinct_splits_of_the_records_are_counted(
    matrices: list[ScoreMatrix], available: int, splits: int | None
) -> None:
    source = choose_source([ScoreMatrix(m.numerators_SE[:available], m.denominators_E) for m in matrices], 3)
    assert (source.name, source.splits) == ("simulated" if splits is None else "records", splits)


def test_one_family_holds_all_methods_with_two_seeds_and_the_base_model(matrices: list[ScoreMatrix]) -> None:
    scores_SE = matrices[0].numerators_SE
    comparison = make_comparison(
        {"base": scores_SE[:1], "full": scores_SE[:1], "lora": scores_SE[1:4], "soft-prompt": scores_SE[4:7]}
    )
    calibrations = list(calibrate_comparisons({"": comparison}, families=2))
    assert [(set(c.methods), c.metric) for c in calibrations] == [
        ({"lora", "soft-prompt", "base"}, ROUGE_L),
        ({"lora", "soft-prompt", "base"}, LOSS),
    ]


def test_a_run_with_one_method_has_no_family(matrices: list[ScoreMatrix]) -> None:
    comparison = make_comparison({"lora": matrices[0].numerators_SE[:3]})
    assert not list(calibrate_comparisons({"": comparison}, families=2))


def test_several_comparisons_are_labeled_with_their_names(matrices: list[ScoreMatrix]) -> None:
    comparison = make_comparison({"lora": matrices[0].numerators_SE[:2], "full": matrices[1].numerators_SE[:2]})
    calibrations = calibrate_comparisons({"a": comparison, "b": comparison}, families=2)
    assert [c.label for c in calibrations] == ["a", "a", "b", "b"]


def test_calibration_is_reproducible(matrices: list[ScoreMatrix]) -> None:
    comparison = make_comparison({"lora": matrices[0].numerators_SE[:2], "full": matrices[1].numerators_SE[:2]})
    first, second = (list(calibrate_comparisons({"": comparison}, families=20)) for _ in range(2))
    assert first == second


def test_without_any_noise_every_planted_difference_is_detected() -> None:
    constant = ScoreMatrix(np.full((2, 40), 20.0), np.ones(40))
    calibration = calibrate_family(
        choose_source([constant, constant], 3),
        label="", metric=ROUGE_L, methods=("a", "b"), families=5, confidence=0.95,
    )  # fmt: skip
    assert (calibration.false_families, calibration.observed_power, calibration.stated_power) == (0, 1, 1)


# The interval


@pytest.mark.parametrize("confidence", [0.95, 0.7])
def test_the_interval_from_few_stored_seeds_covers_the_true_share(
    confidence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FAMILIES", 30)
    monkeypatch.setattr(records, "TRUE_FAMILIES", 400)
    truth, mean, covered = measure_interval_coverage(np.random.default_rng(1), worlds.EQUAL, 6, confidence, 25)
    assert mean == pytest.approx(truth, abs=0.06)
    assert covered > 0.85


# The table


SOME = Calibration(
    label="fair", metric=LOSS, methods=("lora", "full", "base"), seeds=3, examples=300, source="records", splits=10,
    independent=1000, families=1000, false_families=41, planted_difference=0.01234, stated_power=0.8, detections=1548,
)  # fmt: skip


def test_the_interval_of_the_share_of_false_families_is_exact() -> None:
    for false in (0, 41, 1000):
        exact = stats.binomtest(false, 1000).proportion_ci(0.95)
        assert dataclasses.replace(SOME, false_families=false).false_interval == pytest.approx((exact.low, exact.high))


def test_families_from_few_splits_count_as_that_few() -> None:
    low, high = dataclasses.replace(SOME, independent=10).false_interval
    assert low < 0.01
    assert high > 0.3


def test_the_markdown_table_has_a_line_for_each_calibration() -> None:
    assert (
        calibration_module.format_markdown([SOME, SOME]).splitlines()[2:]
        == ["| fair | Loss | records, 10 splits | 3 × 3 × 300 | 4.1 % | 3.0 to 5.5 | 0.012 | 77 % | 80 % |"] * 2
    )


def test_a_pipe_in_a_label_does_not_end_its_cell() -> None:
    assert r"| fair \| wide |" in calibration_module.format_markdown([dataclasses.replace(SOME, label="fair | wide")])
