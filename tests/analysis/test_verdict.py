"""Verdicts: a winner, a tie that goes to the cheaper method, or not enough evidence and what would decide it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulation import Array, make_comparison
from tests.report.synthetic import judge_records, make_synthetic_run
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.needed import Needed, Outlook, compute_power
from tuneoff.analysis.pairs import Decision, compare_pairs, decide
from tuneoff.analysis.posterior import draw_posterior
from tuneoff.analysis.reliability import assess_reliability, estimate_with_lost_runs
from tuneoff.analysis.statistics import Estimate
from tuneoff.analysis.verdict import Verdict, decide_verdict
from tuneoff.config.verdict import VerdictOptions
from tuneoff.metrics import LOSS, ROUGE_L, Metric


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
    ("mean", "low", "high", "decision"),
    [
        (2.0, 1.0, 3.0, "matters"),
        (2.0, 0.1, 4.1, "better"),  # beyond noise, but perhaps too small to matter
        (2.0, -0.1, 4.1, "open"),  # the interval contains zero
        (0.4, 0.3, 0.5, "equal"),  # beyond noise, but too small to matter
        (0.1, -0.4, 0.5, "equal"),
        (0.1, -0.6, 0.7, "open"),
    ],
)
def test_a_pair_is_decided_by_its_interval_and_the_margin(
    mean: float, low: float, high: float, decision: Decision
) -> None:
    assert decide(Estimate(mean=mean, low=low, high=high, examples=40, seeds=3), margin=0.5) == decision


@pytest.mark.parametrize("regret", [0.0, 2.0, 5.0])
def test_what_a_better_learning_rate_might_still_gain_enters_the_interval(regret: float) -> None:
    rows = make_comparison({"lora": draw(24), "full": draw(20)}).rank(ROUGE_L)
    (plain,) = compare_pairs(ROUGE_L, rows, VerdictOptions())
    (pair,) = compare_pairs(ROUGE_L, rows, VerdictOptions(), {"full": regret, "lora": 0.5})
    assert pair.difference.low == pytest.approx(plain.difference.low - regret)
    assert pair.difference.high == pytest.approx(plain.difference.high + 0.5)
    assert pair.decision == ("open" if regret == 5 else "matters")
    assert (pair.p < 0.05) == (pair.difference.low > 0)


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
    comparison = make_comparison({"lora": draw(20.2), "full": draw(20)}, margin_rouge=2.0)
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
        margin_rouge=2.0,
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


def get_needed(comparison: Comparison) -> Needed:
    needed = decide_verdict(comparison, ROUGE_L).needed
    assert needed is not None
    return needed


def test_a_decided_verdict_needs_nothing() -> None:
    assert decide_verdict(make_comparison({"lora": draw(24), "full": draw(20)}), ROUGE_L).needed is None


def test_in_a_pair_with_the_base_model_the_seeds_of_the_other_method_count() -> None:
    comparison = make_comparison({"base": draw(20, seeds=1), "lora": draw(23.5, seed_effect=2)})
    assert (get_needed(comparison).seeds or 0) > 3


def test_seed_variance_is_reduced_by_more_seeds_but_not_by_more_examples() -> None:
    needed = get_needed(
        make_comparison(
            {"lora": draw(21.5, noise=0.1, seed_effect=0.7), "full": draw(20, noise=0.1, seed_effect=0.7)},
            margin_rouge=0.1,
        )
    )
    assert needed.seeds is not None
    assert needed.examples is None


def test_variance_between_examples_is_reduced_by_more_examples_but_not_by_more_seeds() -> None:
    example_effects_E = np.random.default_rng(3).normal(0, 8, size=40)  # equal for all seeds
    needed = get_needed(
        make_comparison(
            {
                "lora": draw(21, noise=0.1) + example_effects_E - example_effects_E.mean(),
                "full": draw(20, noise=0.1),
            }
        )
    )
    assert needed.seeds is None
    assert needed.examples is not None


def test_no_number_of_seeds_decides_on_examples_that_are_too_few_for_any_difference() -> None:
    """Three examples always have a p-value of at least 0.25, so the sixth is the first that could decide."""
    few = make_comparison({label: draw(mean, noise=0.1, examples=3) for label, mean in (("lora", 40), ("full", 20))})
    needed = get_needed(few)
    assert needed.seeds is None
    assert needed.examples is not None
    assert 6 <= needed.examples <= 10


# One example


@pytest.mark.parametrize("lead", [0.1, 20.0])
def test_with_one_example_or_one_group_nothing_wins_or_ties(lead: float) -> None:
    one = make_comparison(
        {label: draw(20 + more, noise=0, examples=1) for label, more in (("lora", lead), ("full", 0))}
    )
    verdict = decide_verdict(one, ROUGE_L)
    assert (verdict.kind, verdict.chances, verdict.needed) == ("open", {}, None)


# One seed against several


def test_a_method_with_one_seed_and_one_with_several_are_undecided() -> None:
    (pair,) = make_comparison({"full": draw(24), "last-layer": draw(20, seeds=1)}).get_pairs(ROUGE_L)
    assert pair.difference.low > 0
    assert pair.decision == "open"


def test_the_base_model_has_no_seed_variance_and_is_decided() -> None:
    (pair,) = make_comparison({"full": draw(24), "base": draw(20, seeds=1)}).get_pairs(ROUGE_L)
    assert pair.decision == "matters"


@pytest.mark.parametrize(("cost", "cheapest"), [("adapter_bytes", "base"), ("training_memory", "base")])
def test_the_base_model_costs_no_training_and_has_no_files(cost: str, cheapest: str) -> None:
    comparison = make_comparison({"full": draw(20.2), "base": draw(20, seeds=1)}, margin_rouge=1.0, cheaper_by=cost)
    assert decide_verdict(comparison, ROUGE_L).kind == "tie"
    assert decide_verdict(comparison, ROUGE_L).cheapest.label == cheapest


def test_the_power_of_a_paired_t_test_agrees_with_gpower() -> None:
    critical = float(stats.t.isf(0.025, 33))
    assert compute_power(1 / 34, 33, 0.5, critical) == pytest.approx(0.8078, abs=1e-3)  # by G*Power, d = 0.5, n = 34


# One run, and lost runs


def test_with_one_seed_nothing_wins_or_ties() -> None:
    far = make_comparison({"lora": draw(40, seeds=1), "full": draw(20, seeds=1)})
    same = make_comparison({"lora": draw(20.1, seeds=1), "full": draw(20, seeds=1)}, margin_rouge=5.0)
    assert [decide_verdict(c, ROUGE_L).kind for c in (far, same)] == ["one run", "one run"]
    assert decide_verdict(far, ROUGE_L).chances == {}
    assert decide_verdict(far, ROUGE_L).needed is None


def test_a_method_that_lost_a_run_is_never_the_plain_winner() -> None:
    scores = {"lora": draw(30), "full": draw(20, seeds=4), "last-layer": draw(10, seeds=4)}
    comparison = make_comparison(scores)
    assert [len(row.finished) for row in comparison.rank(ROUGE_L)] == [3, 4, 4]
    assert decide_verdict(comparison, ROUGE_L).kind == "winner where it trains"


def test_a_lost_run_counts_as_the_base_models_score() -> None:
    comparison = make_comparison({"lora": draw(30), "full": draw(20, seeds=4), "base": draw(10, seeds=1)})
    lora = comparison.rank(ROUGE_L)[0]
    reliability = comparison.assess(lora)
    assert (len(reliability.lost), reliability.runs) == (1, 4)
    interval = stats.binomtest(1, 4).proportion_ci(0.95)
    assert reliability.interval == pytest.approx((interval.low, interval.high))
    estimate = estimate_with_lost_runs(lora, comparison.base, ROUGE_L, reliability, 0.95)
    assert estimate is not None
    assert estimate.mean == pytest.approx((3 * 30 + 10) / 4)


def test_a_run_that_is_worse_on_validation_than_the_base_model_is_lost() -> None:
    comparison = make_comparison({"lora": draw(30), "base": draw(10, seeds=1)})
    lora, base = comparison.rank(ROUGE_L)
    loss = base.records[0].scores["validation/loss"]
    worse = lora.records[0].model_copy(update={"scores": {**lora.records[0].scores, "validation/loss": loss + 0.1}})
    collapsed = replace(lora, records=(worse, *lora.records[1:]))
    assert assess_reliability(collapsed, base, 0.95).lost == (worse,)
    assert assess_reliability(lora, base, 0.95).lost == ()


# Chances


def test_the_chances_to_be_the_best_add_up_to_one_and_follow_the_evidence() -> None:
    clear = decide_verdict(make_comparison({"lora": draw(26), "full": draw(20)}), ROUGE_L).chances
    noisy = make_comparison({label: draw(20 + i / 10, seed_effect=3) for i, label in enumerate(("lora", "full"))})
    unclear = decide_verdict(noisy, ROUGE_L).chances
    assert sum(chance.best for chance in unclear.values()) == pytest.approx(1)
    assert clear["lora"].best > 0.97
    assert 0.3 < unclear["lora"].best < 0.7
    assert clear["lora"].regret < 0.1 < clear["full"].regret


def test_no_number_of_seeds_settles_a_pair_that_is_open_because_of_the_search() -> None:
    """What a better learning rate might still gain does not shrink with more seeds or examples."""
    pair_rows = make_comparison({"lora": draw(21), "full": draw(20)}, margin_rouge=0.1).rank(ROUGE_L)
    (pair,) = compare_pairs(ROUGE_L, pair_rows, VerdictOptions())
    posterior = draw_posterior([row.matrices[ROUGE_L.name] for row in pair_rows])
    assert posterior is not None
    without, with_gain = (
        Outlook(pair, posterior, (0, 1), 0.1, 0.95, gains=gains).compute_chance(seeds=50, examples=10_000)
        for gains in ((0.0, 0.0), (0.0, 9.0))
    )
    assert without > 0.8
    assert with_gain < 0.05
