"""What a planned comparison can show, checked against simulated comparisons."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulate_plans import WORLDS, World, compute_chance_after_pilots, measure_found_share
from tests.analysis.simulation import make_comparison
from tuneoff.analysis.family import compute_randomization_p, find_significant_means
from tuneoff.analysis.noise import (
    ExampleNoise,
    Noise,
    RunNoise,
    StoredScores,
    assume_noise,
    collect_scores,
    measure_noise,
)
from tuneoff.analysis.sensitivity import (
    Design,
    assess_sensitivity,
    choose_round_difference,
    compute_chance,
    find_visible_difference,
)
from tuneoff.config.verdict import PriorOptions
from tuneoff.metrics import LOSS, ROUGE_L

DESIGN = Design(methods=3, trained=2, seeds=3, examples=100, confidence=0.95)


def make_noise(seed_sd: float = 1.0, example_sd: float = 8.0) -> Noise:
    return Noise(runs=RunNoise(variance=seed_sd**2), examples=ExampleNoise(variance=example_sd**2))


@pytest.mark.parametrize("name", ["4 methods", "8 methods, 5 seeds, weighted", "3 methods, 12 examples"])
def test_the_difference_that_a_plan_states_is_found_in_four_of_five_comparisons(name: str) -> None:
    assert measure_found_share(WORLDS[name], 300) == pytest.approx(0.8, abs=0.07)  # three standard errors


def test_a_plan_from_a_stored_run_keeps_its_promise_although_three_seeds_tell_little() -> None:
    world = World(trained=4, seeds=3, examples=500, seed_sd=2, interaction_sd=0)
    assert 0.72 <= compute_chance_after_pilots(world, 40, pilot_seeds=3) <= 0.95


def test_with_one_seed_no_difference_can_be_shown() -> None:
    one_seed = replace(DESIGN, seeds=1)
    assert find_visible_difference(make_noise(), one_seed) is None
    assert compute_chance(1000.0, make_noise(), one_seed) == 0


def test_with_four_examples_no_difference_can_be_shown() -> None:
    """All four may improve by chance in one of eight comparisons, so the verdict never believes them."""
    assert find_visible_difference(make_noise(), replace(DESIGN, examples=4)) is None


def test_without_noise_every_difference_can_be_shown() -> None:
    assert find_visible_difference(make_noise(0, 0), DESIGN) == 0


def test_an_interval_of_two_methods_and_many_seeds_needs_the_difference_of_a_textbook() -> None:
    """With known variances: (1.96 + 0.84) standard errors."""
    design = Design(methods=2, trained=2, seeds=20, examples=10_000, confidence=0.95)
    visible = find_visible_difference(make_noise(0, 8), design)
    assert visible == pytest.approx((1.960 + 0.842) * 8 / math.sqrt(10_000), rel=0.01)


def test_more_methods_more_noise_and_fewer_seeds_hide_larger_differences() -> None:
    visible = find_visible_difference(make_noise(), DESIGN)
    for hidden in (
        find_visible_difference(make_noise(), replace(DESIGN, methods=8)),
        find_visible_difference(make_noise(seed_sd=2), DESIGN),
        find_visible_difference(make_noise(example_sd=16), DESIGN),
        find_visible_difference(make_noise(), replace(DESIGN, seeds=2)),
    ):
        assert visible is not None
        assert hidden is not None
        assert hidden > visible


def test_noise_that_two_seeds_measured_hides_more_than_noise_that_is_known() -> None:
    known = make_noise()
    measured = replace(known, runs=RunNoise(variance=1.0, freedom=2, seeds=2))
    known_difference, measured_difference = (find_visible_difference(noise, DESIGN) for noise in (known, measured))
    assert known_difference is not None
    assert measured_difference is not None
    assert measured_difference > 1.2 * known_difference


def test_the_cheapest_sizes_show_the_wanted_difference_and_follow_the_cost() -> None:
    noise = make_noise(seed_sd=0.5)
    cheap_seeds, cheap_examples = (
        assess_sensitivity(ROUGE_L, DESIGN, noise, [1.5], cost, is_cost_in_seconds=True).wanted[0]
        for cost in (lambda seeds, examples: seeds + examples, lambda seeds, examples: 1e6 * seeds + examples)
    )
    for wanted in (cheap_seeds, cheap_examples):
        assert wanted.seeds is not None
        assert wanted.examples is not None
        assert compute_chance(1.5, noise, replace(DESIGN, seeds=wanted.seeds, examples=wanted.examples)) >= 0.8
    assert cheap_seeds.seeds > cheap_examples.seeds
    assert cheap_seeds.examples < cheap_examples.examples
    assert cheap_examples.seconds == 1e6 * cheap_examples.seeds + cheap_examples.examples


def test_no_number_of_examples_shows_a_difference_that_seeds_hide() -> None:
    (wanted,) = assess_sensitivity(
        ROUGE_L, DESIGN, make_noise(seed_sd=50), [0.5], lambda *_: 1.0, is_cost_in_seconds=False
    ).wanted
    assert (wanted.seeds, wanted.examples, wanted.seconds) == (None, None, None)


@pytest.mark.parametrize(("difference", "rounded"), [(7.4, 2), (2.0, 1), (0.9, 0.2), (12, 5)])
def test_a_round_difference_is_at_most_half(difference: float, rounded: float) -> None:
    assert choose_round_difference(difference) == pytest.approx(rounded)


def test_the_means_that_pass_the_randomization_test_agree_with_the_test_itself() -> None:
    residuals_RE = np.random.default_rng(0).normal(size=(3, 11))
    residuals_RE -= residuals_RE.mean(axis=1, keepdims=True)
    for residuals_E, limit in zip(residuals_RE, find_significant_means(residuals_RE, 0.02), strict=True):
        assert compute_randomization_p(residuals_E + limit * 1.001) <= 0.02
        assert compute_randomization_p(residuals_E + limit * 0.999) > 0.02


def test_noise_is_measured_on_the_methods_of_the_recipe_and_not_on_the_base_model() -> None:
    generator = np.random.default_rng(1)
    difficulty_E = generator.normal(30, 8, size=200)

    def simulate(seed_sd: float) -> np.ndarray:
        own_E = difficulty_E + generator.normal(0, 4 / math.sqrt(2), size=200)
        return own_E + generator.normal(0, seed_sd, size=(8, 1)) + generator.normal(0, 3, size=(8, 200))

    scores = {"base": simulate(0)[:1], "lora": simulate(1), "full": simulate(1), "soft-prompt": simulate(9)}
    stored = collect_scores(make_comparison(scores), ROUGE_L, ["lora", "full"])
    noise = measure_noise([stored], None, measured_in="runs/a")
    assert noise is not None
    assert (noise.runs.seeds, noise.runs.freedom, noise.measured_in) == (8, 7, "runs/a")
    assert math.sqrt(noise.runs.variance) == pytest.approx(1, rel=0.6)  # and not 9
    assert math.sqrt(noise.runs.interaction) == pytest.approx(3, rel=0.1)
    assert math.sqrt(noise.examples.variance) == pytest.approx(4, rel=0.15)


def make_stored(seeds: int, methods: int, base: bool = True) -> StoredScores:
    world = World(trained=methods, seeds=seeds, examples=50, has_base=base)
    trained, base_scores = world.simulate(np.random.default_rng(2))
    return StoredScores(trained=trained, base=base_scores)


def test_what_a_run_of_one_seed_does_not_show_is_assumed() -> None:
    assumed = make_noise(seed_sd=3)
    noise = measure_noise([make_stored(seeds=1, methods=2)], assumed, measured_in="runs/a")
    assert noise is not None
    assert noise.runs == assumed.runs
    assert noise.examples.measured == "the differences between methods"


def test_the_base_model_alone_scales_what_is_assumed_over_examples() -> None:
    assumed = assume_noise(ROUGE_L, None)
    assert assumed is not None
    noise = measure_noise([make_stored(seeds=1, methods=0)], assumed, measured_in="runs/a")
    assert noise is not None
    assert math.sqrt(noise.examples.variance) == pytest.approx(10 * math.sqrt(8**2 + 8) / 7.2, rel=0.25)


def test_the_base_model_does_not_change_what_the_recipe_states() -> None:
    stated = assume_noise(ROUGE_L, PriorOptions(example_sd=5))
    assert measure_noise([make_stored(seeds=1, methods=0)], stated, measured_in="runs/a") is None


def test_nothing_is_measured_without_records() -> None:
    assert measure_noise([], make_noise(), measured_in="runs/a") is None


def test_a_recipe_may_state_a_part_of_the_noise() -> None:
    noise = assume_noise(LOSS, PriorOptions(seed_sd=0.5))
    assert noise is not None
    assert (noise.runs.variance, noise.examples.variance) == (0.25, pytest.approx(0.2**2))


def test_the_noise_of_a_metric_without_typical_values_must_be_stated_in_full() -> None:
    metric = replace(LOSS, noise=None)
    assert assume_noise(metric, PriorOptions(seed_sd=0.5)) is None
    assert assume_noise(metric, PriorOptions(seed_sd=0.5, example_sd=1)) is not None


def test_runs_of_a_sweep_with_test_splits_of_unequal_sizes_are_pooled_at_one_size() -> None:
    """The interaction of a seed with an example changes a mean over 40 examples more than one over 1000."""
    world = World(trained=3, seeds=40, examples=40, seed_sd=1.0, interaction_sd=10.0, has_base=False)
    generator = np.random.default_rng(3)
    stored = [
        StoredScores(trained=replace(world, examples=examples).simulate(generator)[0], base=None)
        for examples in (40, 1000)
    ]
    noise = measure_noise(stored, None, measured_in="a sweep")
    assert noise is not None
    assert noise.runs.examples == 40
    assert noise.runs.variance == pytest.approx(world.noise.runs.variance, rel=0.2)
