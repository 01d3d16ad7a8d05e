"""Who won: a winner, a tie and then the cheaper, or not enough evidence and what would settle it."""

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


def scores(mean: float, *, seeds: int = 3, examples: int = 40, noise: float = 1.0, seed_effect: float = 0.0) -> Array:
    """Seed by example: exactly that mean, examples as hard as they are for every method, and noise of its own."""
    generator = np.random.default_rng([round(100 * mean), seeds, examples])
    noise_SE = generator.normal(0, noise, size=(seeds, examples)) + generator.normal(0, seed_effect, size=(seeds, 1))
    hardness_E = np.random.default_rng(5).normal(0, 8, size=examples)
    return np.asarray(mean + hardness_E - hardness_E.mean() + noise_SE - noise_SE.mean())


def outcome(comparison: Comparison, metric: Metric = ROUGE_L) -> tuple[str, str, list[str]]:
    found = decide_verdict(comparison, metric)
    return found.kind, found.best.label, sorted(row.label for row in found.leaders)


# Two methods


@pytest.mark.parametrize(
    ("mean", "low", "high", "p", "decision"),
    [
        (2.0, 1.0, 3.0, 0.01, "different"),
        (2.0, -0.1, 4.1, 0.01, "open"),  # the interval has zero in it
        (2.0, 1.0, 3.0, 0.06, "open"),  # not beyond noise once all pairs are counted
        (0.4, 0.3, 0.5, 0.01, "equal"),  # beyond noise, and too small to matter
        (0.4, 0.1, 0.7, 0.01, "open"),  # could be too small to matter, or not
        (0.1, -0.4, 0.5, 0.80, "equal"),
        (0.1, -0.6, 0.7, 0.80, "open"),
    ],
)
def test_a_pair_is_decided_by_interval_p_value_and_margin(
    mean: float, low: float, high: float, p: float, decision: Decision
) -> None:
    difference = Estimate(mean=mean, low=low, high=high, examples=40, seeds=3)
    assert decide(difference, p, margin=0.5, confidence=0.95) == decision


def test_every_two_methods_are_a_pair_once_the_better_one_first() -> None:
    comparison = make_comparison({"full": scores(20), "lora": scores(24), "soft-prompt": scores(22)})
    pairs = [(pair.better.label, pair.other.label) for pair in comparison.get_pairs(ROUGE_L)]
    assert pairs == [("lora", "soft-prompt"), ("lora", "full"), ("soft-prompt", "full")]


# The kinds of verdict


def test_a_method_far_above_the_others_wins() -> None:
    assert outcome(make_comparison({"lora": scores(24), "full": scores(20)})) == ("winner", "lora", ["lora"])


def test_the_lower_loss_wins() -> None:
    assert outcome(make_comparison({"lora": scores(24), "full": scores(20)}), LOSS) == ("winner", "lora", ["lora"])


def test_methods_that_differ_by_less_than_the_margin_tie() -> None:
    comparison = make_comparison({"lora": scores(20.2), "full": scores(20)}, margin_rouge=1.0)
    assert outcome(comparison) == ("tie", "lora", ["full", "lora"])


def test_the_margin_is_the_recipes() -> None:
    comparison = make_comparison({"lora": scores(21.5), "full": scores(20)}, margin_rouge=0.1, margin_loss=3.0)
    assert (outcome(comparison)[0], outcome(comparison, LOSS)[0]) == ("winner", "tie")


def test_methods_whose_noise_hides_the_difference_are_undecided() -> None:
    comparison = make_comparison({"lora": scores(21, seed_effect=3), "full": scores(20, seed_effect=3)})
    assert outcome(comparison) == ("open", comparison.rank(ROUGE_L)[0].label, ["full", "lora"])


def test_a_method_that_is_shown_to_be_worse_does_not_lead() -> None:
    comparison = make_comparison({"lora": scores(20.2), "full": scores(20), "soft-prompt": scores(9)}, margin_rouge=1.0)
    assert outcome(comparison) == ("tie", "lora", ["full", "lora"])


def test_a_method_alone_wins() -> None:
    assert outcome(make_comparison({"lora": scores(20)})) == ("winner", "lora", ["lora"])


def test_more_pairs_ask_for_more_evidence() -> None:
    close = {"lora": scores(21.5, noise=4), "full": scores(19.8, noise=4)}
    many = close | {"last-layer": scores(19.9, noise=4), "soft-prompt": scores(19.7, noise=4)}
    alone, among = make_comparison(close), make_comparison(many)
    row = {row.label: row for row in among.rows}
    assert among.find_pair(ROUGE_L, row["lora"], row["full"]).p > alone.get_pairs(ROUGE_L)[0].p


def test_no_method_with_a_score_is_an_error() -> None:
    run = make_synthetic_run()
    failed = judge_records(run, [record for record in run.records if record.status == "failed"])
    with pytest.raises(ValueError, match="no method has a score by rougeL"):
        decide_verdict(failed, ROUGE_L)


# A tie goes to the cheaper


def tie(**verdict: Any) -> Verdict:
    token_ms = {"soft-prompt": 40.0, "last-layer": 31.0}
    inference = make_synthetic_run().records[0].costs.inference  # type: ignore[union-attr]  # the base's, which has costs
    assert inference is not None
    comparison = make_comparison(
        {"soft-prompt": scores(20.2), "last-layer": scores(20)},
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
    found = tie(cheaper_by=cost)
    assert (found.kind, found.best.label, found.cheapest.label) == ("tie", "soft-prompt", cheapest)


def test_a_winner_is_its_own_cheapest_however_dear() -> None:
    assert (
        decide_verdict(make_comparison({"full": scores(24), "last-layer": scores(20)}), ROUGE_L).cheapest.label
        == "full"
    )


# What would settle it


def needed(comparison: Comparison) -> Needed:
    return estimate_needed(comparison.get_pairs(ROUGE_L)[0], comparison)


def test_the_power_of_a_paired_t_test_is_the_textbooks() -> None:
    assert compute_power(1 / 34, 33, 0.5, 0.95) == pytest.approx(0.8078, abs=1e-3)  # d = 0.5, n = 34, as G*Power has it


def test_a_decided_verdict_needs_nothing() -> None:
    assert decide_verdict(make_comparison({"lora": scores(24), "full": scores(20)}), ROUGE_L).needed is None


def test_with_one_seed_each_nobody_knows_how_many_would_do() -> None:
    comparison = make_comparison({"lora": scores(21, seeds=1, noise=6), "full": scores(20, seeds=1, noise=6)})
    found = decide_verdict(comparison, ROUGE_L).needed
    assert found is not None
    assert found.seeds is None
    assert found.examples is not None
    assert found.examples > 40


def test_beside_the_untouched_model_which_has_one_seed_the_others_seeds_count() -> None:
    comparison = make_comparison({"base": scores(20, seeds=1), "lora": scores(23.5, seed_effect=2)})
    found = decide_verdict(comparison, ROUGE_L).needed
    assert found is not None
    assert found.seeds is not None
    assert found.seeds > 3


def test_luck_is_settled_by_seeds_and_by_no_number_of_examples() -> None:
    found = needed(
        make_comparison({"lora": scores(24, noise=0.1, seed_effect=3), "full": scores(20, noise=0.1, seed_effect=3)})
    )
    assert found.seeds is not None
    assert found.examples is None


def test_the_choice_of_examples_is_settled_by_examples_and_by_no_number_of_seeds() -> None:
    own_E = np.random.default_rng(3).normal(0, 8, size=40)  # of the method, under every seed
    found = needed(
        make_comparison({"lora": scores(21, noise=0.1) + own_E - own_E.mean(), "full": scores(20, noise=0.1)})
    )
    assert found.seeds is None
    assert found.examples is not None


def test_a_difference_as_large_as_the_margin_is_never_settled() -> None:
    generator = np.random.default_rng(1)
    base_E = generator.normal(20, 8, size=40)
    wobble_SE = generator.normal(0, 3, size=(3, 40))
    wobble_SE -= wobble_SE.mean()
    found = needed(
        make_comparison({"lora": base_E + 0.5 + wobble_SE, "full": base_E + wobble_SE[::-1]}, margin_rouge=0.5)
    )
    assert (found.seeds, found.examples) == (None, None)


def test_among_more_methods_more_is_needed() -> None:
    close = {"lora": scores(22, noise=6, seed_effect=1), "full": scores(20, noise=6, seed_effect=1)}
    many = close | {label: scores(20.0 + i / 100, noise=6) for i, label in enumerate(("last-layer", "soft-prompt"))}
    among = make_comparison(many)
    row = {row.label: row for row in among.rows}
    crowded = estimate_needed(among.find_pair(ROUGE_L, row["lora"], row["full"]), among)
    alone = needed(make_comparison(close))
    assert crowded.examples is not None
    assert alone.examples is not None
    assert crowded.examples > alone.examples


def found_share(difference: float, **noise: Any) -> float:
    """How often two methods that are so far apart are told apart."""
    generator = np.random.default_rng(1)
    return float(
        np.mean([is_different(simulate_pair(generator, difference=difference, **noise), 0.95) for _ in range(150)])
    )


def test_as_many_seeds_as_are_needed_find_the_difference_with_the_stated_chance() -> None:
    comparison = make_comparison(
        {"lora": scores(24, noise=4, seed_effect=2), "full": scores(20, noise=4, seed_effect=2)}, margin_rouge=0.0
    )
    found, pair = needed(comparison), comparison.get_pairs(ROUGE_L)[0].paired
    seed_effect = np.mean([side.seed_variance * side.seeds for side in (pair.first, pair.second)]) ** 0.5
    assert found.seeds is not None
    assert found_share(4, interaction=4, seed_effect=seed_effect, seeds=found.seeds) == pytest.approx(POWER, abs=0.12)
    assert found_share(4, interaction=4, seed_effect=seed_effect, seeds=3) < 0.6  # as it was


def test_as_many_examples_as_are_needed_find_the_difference_with_the_stated_chance() -> None:
    comparison = make_comparison(
        {"lora": scores(22.5, seeds=1, noise=8), "full": scores(20, seeds=1, noise=8)}, margin_rouge=0.0
    )
    found, pair = needed(comparison), comparison.get_pairs(ROUGE_L)[0].paired
    noise = (pair.compute_variance() * 40 / 2) ** 0.5
    assert found.examples is not None
    assert found_share(2.5, interaction=noise, seeds=1, examples=found.examples) == pytest.approx(POWER, abs=0.12)
    assert found_share(2.5, interaction=noise, seeds=1) < 0.6  # as it was


def test_as_many_examples_as_are_needed_show_that_nothing_matters_with_the_stated_chance() -> None:
    comparison = make_comparison(
        {"lora": scores(20.3, seeds=1, noise=8), "full": scores(20, seeds=1, noise=8)}, margin_rouge=2.0
    )
    found, pair = needed(comparison), comparison.get_pairs(ROUGE_L)[0].paired
    noise, generator = (pair.compute_variance() * 40 / 2) ** 0.5, np.random.default_rng(1)
    assert found.examples is not None
    worlds = [
        simulate_pair(generator, difference=0.3, interaction=noise, seeds=1, examples=found.examples)
        for _ in range(150)
    ]
    equal = [decide(one.estimate(0.95), 1.0, margin=2.0, confidence=0.95) == "equal" for one in worlds]
    assert np.mean(equal) == pytest.approx(POWER, abs=0.12)


# One training against several


def test_a_method_that_was_trained_once_is_not_told_apart_from_one_of_several_seeds() -> None:
    both = {"full": scores(24), "last-layer": scores(20, seeds=1)}
    (pair,) = make_comparison(both).get_pairs(ROUGE_L)
    assert pair.difference.low > 0
    assert pair.decision == "open"


def test_the_untouched_model_has_no_luck_and_is_told_apart() -> None:
    (pair,) = make_comparison({"full": scores(24), "base": scores(20, seeds=1)}).get_pairs(ROUGE_L)
    assert pair.decision == "different"


@pytest.mark.parametrize(("cost", "cheapest"), [("adapter_bytes", "base"), ("training_memory", "base")])
def test_the_untouched_model_costs_no_training_and_has_no_files(cost: str, cheapest: str) -> None:
    comparison = make_comparison({"full": scores(20.2), "base": scores(20, seeds=1)}, margin_rouge=1.0, cheaper_by=cost)
    assert decide_verdict(comparison, ROUGE_L).kind == "tie"
    assert decide_verdict(comparison, ROUGE_L).cheapest.label == cheapest


def test_so_few_examples_that_no_swapping_is_rare_are_never_enough() -> None:
    comparison = make_comparison({"full": scores(24, examples=4), "last-layer": scores(20, examples=4)})
    (pair,) = comparison.get_pairs(ROUGE_L)
    assert pair.decision == "open"
    assert (estimate_needed(pair, comparison).examples or 0) >= 6
