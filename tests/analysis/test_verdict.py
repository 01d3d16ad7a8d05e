"""Verdicts: a winner, a tie that goes to the cheaper method, or not enough evidence and what would decide it."""

from typing import Any

import numpy as np
import pytest

from tests.analysis.simulation import Array, make_comparison, simulate_pair
from tests.report.synthetic import judge_records, make_synthetic_run
from tuneoff.analysis.calibration import is_different
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Decision, decide
from tuneoff.analysis.statistics import Estimate
from tuneoff.analysis.verdict import POWER, Needed, Verdict, compute_power, decide_verdict, estimate_needed
from tuneoff.records.metrics import LOSS, ROUGE_L, Metric


def draw(mean: float, *, seeds: int = 3, examples: int = 40, noise: float = 1.0, seed_effect: float = 0.0) -> Array:
    """Scores, seed by example, with exactly this mean; the difficulty of the examples is the same for every method."""
    generator = np.random.default_rng([round(100 * mean), seeds, examples])
    noise_SE = generator.normal(0, noise, size=(seeds, examples)) + generator.normal(0, seed_effect, size=(seeds, 1))
    difficulty_E = np.random.default_rng(5).normal(0, 8, size=examples)
    return np.asarray(mean + difficulty_E - difficulty_E.mean() + noise_SE - noise_SE.mean())


def judge(comparison: Comparison, metric: Metric = ROUGE_L) -> tuple[str, str, list[str]]:
    verdict = decide_verdict(comparison, metric)
    return verdict.kind, verdict.best.label, sorted(row.label for row in verdict.leaders)


# Two methods


@pytest.mark.parametrize(
    ("mean", "low", "high", "p", "decision"),
    [
        (2.0, 1.0, 3.0, 0.01, "different"),
        (2.0, -0.1, 4.1, 0.01, "open"),  # the interval contains zero
        (2.0, 1.0, 3.0, 0.06, "open"),  # the p-value after correction is too large
        (0.4, 0.3, 0.5, 0.01, "equal"),  # beyond noise, but too small to matter
        (0.4, 0.1, 0.7, 0.01, "open"),  # may or may not be too small to matter
        (0.1, -0.4, 0.5, 0.80, "equal"),
        (0.1, -0.6, 0.7, 0.80, "open"),
    ],
)
def test_a_pair_is_decided_by_interval_p_value_and_margin(
    mean: float, low: float, high: float, p: float, decision: Decision
) -> None:
    difference = Estimate(mean=mean, low=low, high=high, examples=40, seeds=3)
    assert decide(difference, p, margin=0.5, confidence=0.95) == decision


def test_every_two_methods_are_one_pair_with_the_better_method_first() -> None:
    comparison = make_comparison({"full": draw(20), "lora": draw(24), "soft-prompt": draw(22)})
    pairs = [(pair.better.label, pair.other.label) for pair in comparison.get_pairs(ROUGE_L)]
    assert pairs == [("lora", "soft-prompt"), ("lora", "full"), ("soft-prompt", "full")]


# The kinds of verdict


def test_a_method_far_above_the_others_wins() -> None:
    assert judge(make_comparison({"lora": draw(24), "full": draw(20)})) == ("winner", "lora", ["lora"])


def test_the_lower_loss_wins() -> None:
    assert judge(make_comparison({"lora": draw(24), "full": draw(20)}), LOSS) == (
        "winner",
        "lora",
        ["lora"],
    )


def test_methods_that_differ_by_less_than_the_margin_tie() -> None:
    comparison = make_comparison({"lora": draw(20.2), "full": draw(20)}, margin_rouge=1.0)
    assert judge(comparison) == ("tie", "lora", ["full", "lora"])


def test_the_recipe_sets_the_margin() -> None:
    comparison = make_comparison({"lora": draw(21.5), "full": draw(20)}, margin_rouge=0.1, margin_loss=3.0)
    assert (judge(comparison)[0], judge(comparison, LOSS)[0]) == ("winner", "tie")


def test_methods_with_large_seed_variance_are_undecided() -> None:
    comparison = make_comparison({"lora": draw(21, seed_effect=3), "full": draw(20, seed_effect=3)})
    assert judge(comparison) == ("open", comparison.rank(ROUGE_L)[0].label, ["full", "lora"])


def test_a_method_that_is_shown_to_be_worse_does_not_lead() -> None:
    comparison = make_comparison({"lora": draw(20.2), "full": draw(20), "soft-prompt": draw(9)}, margin_rouge=1.0)
    assert judge(comparison) == ("tie", "lora", ["full", "lora"])


def test_a_single_method_wins() -> None:
    assert judge(make_comparison({"lora": draw(20)})) == ("winner", "lora", ["lora"])


def test_a_pair_has_a_larger_p_value_among_more_pairs() -> None:
    close = {"lora": draw(21.5, noise=4), "full": draw(19.8, noise=4)}
    many = close | {"last-layer": draw(19.9, noise=4), "soft-prompt": draw(19.7, noise=4)}
    alone, among = make_comparison(close), make_comparison(many)
    row = {row.label: row for row in among.rows}
    assert among.find_pair(ROUGE_L, row["lora"], row["full"]).p > alone.get_pairs(ROUGE_L)[0].p


def test_without_any_score_there_is_no_verdict() -> None:
    run = make_synthetic_run()
    failed = judge_records(run, [record for record in run.records if record.status == "failed"])
    with pytest.raises(ValueError, match="no method has a score by rougeL"):
        decide_verdict(failed, ROUGE_L)


# Ties


def make_tie(**verdict: Any) -> Verdict:
    token_ms = {"soft-prompt": 40.0, "last-layer": 31.0}
    inference = make_synthetic_run().records[0].costs.inference  # type: ignore[union-attr]  # the base's, which has costs
    assert inference is not None
    comparison = make_comparison(
        {"soft-prompt": draw(20.2), "last-layer": draw(20)},
        {label: {"inference": inference.model_copy(update={"token_ms": ms})} for label, ms in token_ms.items()},
        margin_rouge=1.0,
        **verdict,
    )
    return decide_verdict(comparison, ROUGE_L)


@pytest.mark.parametrize(
    ("cost", "cheapest"),
    [
        ("train_seconds", "last-layer"),
        ("training_memory", "last-layer"),
        ("adapter_bytes", "soft-prompt"),
        ("token_ms", "last-layer"),
    ],
)
def test_a_tie_goes_to_the_cheaper_by_the_cost_that_the_recipe_names(cost: str, cheapest: str) -> None:
    verdict = make_tie(cheaper_by=cost)
    assert (verdict.kind, verdict.best.label, verdict.cheapest.label) == ("tie", "soft-prompt", cheapest)


def test_a_winner_is_the_cheapest_of_the_leaders_whatever_it_costs() -> None:
    assert decide_verdict(make_comparison({"full": draw(24), "last-layer": draw(20)}), ROUGE_L).cheapest.label == "full"


# What would decide it


def estimate_first_pair(comparison: Comparison) -> Needed:
    return estimate_needed(comparison.get_pairs(ROUGE_L)[0], comparison)


def test_the_power_of_a_paired_t_test_agrees_with_gpower() -> None:
    assert compute_power(1 / 34, 33, 0.5, 0.95) == pytest.approx(0.8078, abs=1e-3)  # by G*Power, d = 0.5, n = 34


def test_a_decided_verdict_needs_nothing() -> None:
    assert decide_verdict(make_comparison({"lora": draw(24), "full": draw(20)}), ROUGE_L).needed is None


def test_with_one_seed_each_the_number_of_seeds_is_unknown() -> None:
    comparison = make_comparison({"lora": draw(21, seeds=1, noise=6), "full": draw(20, seeds=1, noise=6)})
    needed = decide_verdict(comparison, ROUGE_L).needed
    assert needed is not None
    assert needed.seeds is None
    assert needed.examples is not None
    assert needed.examples > 40


def test_in_a_pair_with_the_base_model_the_seeds_of_the_other_method_count() -> None:
    comparison = make_comparison({"base": draw(20, seeds=1), "lora": draw(23.5, seed_effect=2)})
    needed = decide_verdict(comparison, ROUGE_L).needed
    assert needed is not None
    assert needed.seeds is not None
    assert needed.seeds > 3


def test_seed_variance_is_reduced_by_more_seeds_but_not_by_more_examples() -> None:
    needed = estimate_first_pair(
        make_comparison({"lora": draw(24, noise=0.1, seed_effect=3), "full": draw(20, noise=0.1, seed_effect=3)})
    )
    assert needed.seeds is not None
    assert needed.examples is None


def test_variance_between_examples_is_reduced_by_more_examples_but_not_by_more_seeds() -> None:
    example_effects_E = np.random.default_rng(3).normal(0, 8, size=40)  # equal for all seeds
    needed = estimate_first_pair(
        make_comparison(
            {
                "lora": draw(21, noise=0.1) + example_effects_E - example_effects_E.mean(),
                "full": draw(20, noise=0.1),
            }
        )
    )
    assert needed.seeds is None
    assert needed.examples is not None


def test_a_difference_equal_to_the_margin_is_never_decided() -> None:
    generator = np.random.default_rng(1)
    base_E = generator.normal(20, 8, size=40)
    noise_SE = generator.normal(0, 3, size=(3, 40))
    noise_SE -= noise_SE.mean()
    needed = estimate_first_pair(
        make_comparison({"lora": base_E + 0.5 + noise_SE, "full": base_E + noise_SE[::-1]}, margin_rouge=0.5)
    )
    assert (needed.seeds, needed.examples) == (None, None)


def test_more_methods_need_more_examples() -> None:
    close = {"lora": draw(22, noise=6, seed_effect=1), "full": draw(20, noise=6, seed_effect=1)}
    many = close | {label: draw(20.0 + i / 100, noise=6) for i, label in enumerate(("last-layer", "soft-prompt"))}
    among = make_comparison(many)
    row = {row.label: row for row in among.rows}
    crowded = estimate_needed(among.find_pair(ROUGE_L, row["lora"], row["full"]), among)
    alone = estimate_first_pair(make_comparison(close))
    assert crowded.examples is not None
    assert alone.examples is not None
    assert crowded.examples > alone.examples


def compute_share(difference: float, **noise: Any) -> float:
    """How often the verdict finds a difference of this size."""
    generator = np.random.default_rng(1)
    return float(
        np.mean([is_different(simulate_pair(generator, difference=difference, **noise), 0.95) for _ in range(150)])
    )


def test_the_needed_seeds_detect_the_difference_with_the_stated_power() -> None:
    comparison = make_comparison(
        {"lora": draw(24, noise=4, seed_effect=2), "full": draw(20, noise=4, seed_effect=2)},
        margin_rouge=0.0,
    )
    needed, pair = estimate_first_pair(comparison), comparison.get_pairs(ROUGE_L)[0].paired
    seed_effect = np.mean([side.seed_variance * side.seeds for side in (pair.first, pair.second)]) ** 0.5
    assert needed.seeds is not None
    assert compute_share(4, interaction=4, seed_effect=seed_effect, seeds=needed.seeds) == pytest.approx(
        POWER, abs=0.12
    )
    assert compute_share(4, interaction=4, seed_effect=seed_effect, seeds=3) < 0.6


def test_the_needed_examples_detect_the_difference_with_the_stated_power() -> None:
    comparison = make_comparison(
        {"lora": draw(22.5, seeds=1, noise=8), "full": draw(20, seeds=1, noise=8)}, margin_rouge=0.0
    )
    needed, pair = estimate_first_pair(comparison), comparison.get_pairs(ROUGE_L)[0].paired
    noise = (pair.compute_variance() * 40 / 2) ** 0.5
    assert needed.examples is not None
    assert compute_share(2.5, interaction=noise, seeds=1, examples=needed.examples) == pytest.approx(POWER, abs=0.12)
    assert compute_share(2.5, interaction=noise, seeds=1) < 0.6


def test_the_needed_examples_show_a_tie_with_the_stated_power() -> None:
    comparison = make_comparison(
        {"lora": draw(20.3, seeds=1, noise=8), "full": draw(20, seeds=1, noise=8)}, margin_rouge=2.0
    )
    needed, pair = estimate_first_pair(comparison), comparison.get_pairs(ROUGE_L)[0].paired
    noise, generator = (pair.compute_variance() * 40 / 2) ** 0.5, np.random.default_rng(1)
    assert needed.examples is not None
    pairs = [
        simulate_pair(generator, difference=0.3, interaction=noise, seeds=1, examples=needed.examples)
        for _ in range(150)
    ]
    equal = [decide(simulated.estimate(0.95), 1.0, margin=2.0, confidence=0.95) == "equal" for simulated in pairs]
    assert np.mean(equal) == pytest.approx(POWER, abs=0.12)


# One seed against several


def test_a_method_with_one_seed_and_one_with_several_are_undecided() -> None:
    (pair,) = make_comparison({"full": draw(24), "last-layer": draw(20, seeds=1)}).get_pairs(ROUGE_L)
    assert pair.difference.low > 0
    assert pair.decision == "open"


def test_the_base_model_has_no_seed_variance_and_is_decided() -> None:
    (pair,) = make_comparison({"full": draw(24), "base": draw(20, seeds=1)}).get_pairs(ROUGE_L)
    assert pair.decision == "different"


@pytest.mark.parametrize(("cost", "cheapest"), [("adapter_bytes", "base"), ("training_memory", "base")])
def test_the_base_model_costs_no_training_and_has_no_files(cost: str, cheapest: str) -> None:
    comparison = make_comparison({"full": draw(20.2), "base": draw(20, seeds=1)}, margin_rouge=1.0, cheaper_by=cost)
    assert decide_verdict(comparison, ROUGE_L).kind == "tie"
    assert decide_verdict(comparison, ROUGE_L).cheapest.label == cheapest


def test_so_few_examples_that_no_sign_flips_are_rare_are_never_enough() -> None:
    comparison = make_comparison({"full": draw(24, examples=4), "last-layer": draw(20, examples=4)})
    (pair,) = comparison.get_pairs(ROUGE_L)
    assert pair.decision == "open"
    assert (estimate_needed(pair, comparison).examples or 0) >= 6
