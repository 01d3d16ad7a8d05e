"""Chances to be the best: they are true as often as they say, and noise alone gives no favorite."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.verdict import worlds
from benchmarks.verdict.chances import state_chances
from benchmarks.verdict.families import build_matrices
from tests.analysis.simulation import make_scores
from tuneoff.analysis.posterior import compute_chances, draw_posterior
from tuneoff.analysis.statistics import ScoreMatrix


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def test_in_every_draw_the_parts_add_up_to_the_observed_means(generator: np.random.Generator) -> None:
    matrices = build_matrices(worlds.EQUAL.draw(generator, 3, 3))
    posterior = draw_posterior(matrices)
    assert posterior is not None
    total_RM = posterior.means_RM + posterior.example_noise_RM + posterior.seed_noise_RM
    assert total_RM == pytest.approx(np.broadcast_to([matrix.mean for matrix in matrices], total_RM.shape))


def test_the_chances_to_be_the_best_add_up_to_one(generator: np.random.Generator) -> None:
    posterior = draw_posterior(build_matrices(worlds.EQUAL.draw(generator, 5, 3)))
    assert posterior is not None
    chances = compute_chances(posterior, higher_is_better=True, margin=0.5)
    assert sum(of_method.best for of_method in chances) == pytest.approx(1)
    assert all(of_method.within_margin >= of_method.best for of_method in chances)
    assert min(of_method.regret for of_method in chances) > 0


def test_where_lower_is_better_the_lowest_mean_has_the_largest_chance(generator: np.random.Generator) -> None:
    matrices = build_matrices(worlds.EQUAL.draw(generator, 3, 3, means_M=np.array([0.0, 3.0, 9.0])))
    posterior = draw_posterior(matrices)
    assert posterior is not None
    lower, higher = (compute_chances(posterior, higher_is_better=up, margin=0.0) for up in (False, True))
    assert np.argmax([of_method.best for of_method in lower]) == 0
    assert np.argmax([of_method.best for of_method in higher]) == 2


def test_a_method_that_is_far_better_is_almost_surely_the_best_with_almost_no_regret(
    generator: np.random.Generator,
) -> None:
    posterior = draw_posterior(build_matrices(worlds.EQUAL.draw(generator, 4, 5, means_M=np.array([60.0, 0, 0, 0]))))
    assert posterior is not None
    first, *others = compute_chances(posterior, higher_is_better=True, margin=1.0)
    assert first.best > 0.99
    assert first.regret < 0.1
    assert all(40 < other.regret < 70 for other in others)


def test_with_one_run_there_is_no_posterior(generator: np.random.Generator) -> None:
    assert draw_posterior(build_matrices(worlds.EQUAL.draw(generator, 2, 1))) is None


def test_the_base_model_is_not_drawn_towards_the_trained_methods(generator: np.random.Generator) -> None:
    trained = build_matrices(worlds.EQUAL.draw(generator, 4, 3))
    base = make_scores(trained[0].numerators_SE[:1] - 30, trained=False)
    posterior = draw_posterior([*trained, base])
    assert posterior is not None
    assert posterior.means_RM[:, 4].mean() == pytest.approx(base.mean, abs=1.0)


@pytest.mark.parametrize(("methods", "spread"), [(2, 0.8), (4, 0.8)])
def test_the_method_with_the_largest_chance_is_the_best_as_often_as_stated(
    methods: int, spread: float, generator: np.random.Generator
) -> None:
    stated = state_chances(generator, worlds.EQUAL, methods=methods, seeds=3, spread=spread, families=40)
    families = np.arange(40)
    was_best = stated.is_best_FM[families, stated.chosen_F].mean()
    assert stated.best_FM[families, stated.chosen_F].mean() == pytest.approx(was_best, abs=0.25)


def test_among_equal_methods_no_method_is_stated_to_be_almost_surely_the_best(generator: np.random.Generator) -> None:
    stated = state_chances(generator, worlds.EQUAL, methods=8, seeds=3, spread=0.0, families=20)
    assert (stated.best_FM.max(axis=1) > 0.95).mean() < 0.05
    assert stated.best_FM.max(axis=1).mean() < 0.5


@pytest.mark.parametrize("scores", [[0.0], [0.0, 0.0], [1.0, 2.0]])
def test_scores_without_any_noise_have_chances(scores: list[float]) -> None:
    """Such as a base model that answers nothing right: every example scores zero."""
    posterior = draw_posterior([make_scores(np.full((2, 8), score)) for score in scores])
    assert posterior is not None
    chances = compute_chances(posterior, higher_is_better=True, margin=0.5)
    assert sum(of_method.best for of_method in chances) == pytest.approx(1)
    assert chances[-1].within_margin == pytest.approx(1, abs=0.01)


def test_scores_without_any_noise_but_that_of_rounding_have_chances() -> None:
    """Every example has the same loss, whose mean over the tokens is off by its last bit."""
    losses = [ScoreMatrix(np.full((3, 40), loss), np.full(40, 24.0)) for loss in (76.8, 77.28, 79.19999999999999)]
    posterior = draw_posterior([*losses[:2], replace(losses[2].select_seeds([0]), trained=False)])
    assert posterior is not None
    chances = compute_chances(posterior, higher_is_better=False, margin=0.0)
    assert chances[0].best == pytest.approx(1)


def test_what_all_trained_methods_have_in_common_under_a_seed_is_noise_against_the_base_model_alone(
    generator: np.random.Generator,
) -> None:
    """Seeds move both methods up and down together by ten points, and hardly by themselves."""
    common_S1 = np.array([[-10.0], [2.0], [8.0]])
    trained = [make_scores(20 + common_S1 + generator.normal(0, 0.1, (3, 40))) for _ in range(2)]
    base = make_scores(np.full((1, 40), 19.0), trained=False)
    posterior = draw_posterior([*trained, base])
    assert posterior is not None
    chances = compute_chances(posterior, higher_is_better=True, margin=0.5)
    assert 0.1 < chances[2].best < 0.45  # the mean of three seeds may be off by several points
    apart, alone = (np.median(posterior.compute_run_variance(pair, (3, 1))) for pair in ((0, 1), (0, 2)))
    assert apart < 0.1
    assert alone > 10
