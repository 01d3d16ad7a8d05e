"""A comparison that runs until it is decided, replayed and judged from its records."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.analysis.simulation import Array, give_scores
from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.error_spending import get_look_confidence
from tuneoff.analysis.sequential import replay_rounds
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.metrics import LOSS, ROUGE_L
from tuneoff.report.page import render_page
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.sequential import list_looks
from tuneoff.runs import Run

MEANS = {"base": 10.0, "lora": 25.0, "full": 25.4, "soft-prompt": 15.0}
SEEDS = 5


def draw_scores(mean: float, stream: int, seeds: int = SEEDS) -> Array:
    generator = np.random.default_rng(stream)
    difficulty_E = np.random.default_rng(99).normal(0, 8, 40)
    return mean + difficulty_E + generator.normal(0, 1.5, (seeds, 40)) + generator.normal(0, 0.4, (seeds, 1))


def make_run(means: Mapping[str, float] = MEANS, **changes: Any) -> Run:
    """A run with every trial that its recipe may need."""
    run = make_synthetic_run(
        methods=list(means),
        **{"seeds": list(range(SEEDS)), "until_decided": True, "verdict": {"metric": "rougeL"}, **changes},
    )
    scores = {label: draw_scores(mean, i, len(run.recipe.seeds)) for i, (label, mean) in enumerate(means.items())}
    return replace(run, records=tuple(give_scores(r, scores[r.trial.label]) for r in run.records))


def keep(run: Run, **seeds: int) -> Run:
    """The run with only the first seeds of some methods."""
    most = len(run.recipe.seeds)
    return replace(
        run, records=tuple(r for r in run.records if r.trial.seed < seeds.get(r.trial.label.replace("-", "_"), most))
    )


def count_seeds(comparison: Comparison) -> dict[str, int]:
    return {row.label: len(row.records) for row in comparison.rows}


def test_a_dropped_method_keeps_the_seeds_and_the_decision_of_its_look() -> None:
    comparison = judge(make_run())
    assert comparison.rounds is not None
    look = comparison.rounds.dropped["soft-prompt"]
    assert look.seeds < SEEDS
    assert count_seeds(comparison) == {"full": SEEDS, "lora": SEEDS, "soft-prompt": look.seeds, "base": 1}
    best = next(row for row in comparison.rows if row.label == "full")
    dropped = next(row for row in comparison.rows if row.label == "soft-prompt")
    pair = comparison.find_pair(ROUGE_L, best, dropped)
    assert pair.difference.seeds == look.seeds
    assert pair.is_beyond_noise
    assert pair.p < 0.05


def test_records_beyond_a_drop_change_nothing() -> None:
    run = make_run()
    rounds = replay_rounds(run.recipe, run.records)
    assert replay_rounds(run.recipe, keep(run, soft_prompt=rounds.dropped["soft-prompt"].seeds).records) == rounds


def test_a_method_without_its_next_seed_is_waited_for() -> None:
    run = keep(make_run(), lora=2)
    rounds = replay_rounds(run.recipe, run.records)
    assert [look.seeds for look in rounds.looks] == [2]
    assert rounds.next_seeds == (0, 1, 2)
    assert not rounds.is_decided


def test_before_the_first_look_every_method_needs_two_seeds() -> None:
    run = keep(make_run(), lora=1)
    rounds = replay_rounds(run.recipe, run.records)
    assert (rounds.looks, rounds.next_seeds) == ((), (0, 1))
    assert rounds.remaining == ("base", "lora", "full", "soft-prompt")


def test_an_unfinished_round_is_partial_and_its_trials_are_set_aside() -> None:
    comparison = judge(keep(make_run(), lora=3, soft_prompt=3))
    assert comparison.partial is not None
    assert comparison.partial.seeds == (0, 1, 2)
    assert comparison.partial.waiting == {"full": SEEDS - 3}
    assert count_seeds(comparison)["full"] == 3


def test_a_comparison_whose_seeds_end_is_complete_and_may_be_open() -> None:
    comparison = judge(make_run())
    assert comparison.partial is None
    assert decide_verdict(comparison, ROUGE_L).kind == "open"
    assert [row.label for row in decide_verdict(comparison, ROUGE_L).leaders] == ["full", "lora"]


def test_a_comparison_that_is_decided_early_is_complete_and_has_a_winner() -> None:
    comparison = judge(keep(make_run({"base": 10.0, "lora": 25.0, "soft-prompt": 15.0}), lora=3, soft_prompt=3))
    assert comparison.rounds is not None
    assert comparison.rounds.is_decided
    assert comparison.partial is None
    verdict = decide_verdict(comparison, ROUGE_L)
    assert (verdict.kind, verdict.best.label) == ("winner", "lora")


def test_seeds_added_later_change_no_earlier_look() -> None:
    few, many = make_run(), make_run(seeds=list(range(8)), until_decided=SEEDS)
    before, after = replay_rounds(few.recipe, few.records), replay_rounds(many.recipe, many.records)
    assert [look.confidence for look in after.looks[: len(before.looks)]] == [look.confidence for look in before.looks]
    assert len(after.looks) > len(before.looks)


def test_an_interval_has_the_confidence_of_its_look_and_its_p_value_agrees() -> None:
    comparison = judge(make_run())
    for metric in (ROUGE_L, LOSS):
        for pair in comparison.get_pairs(metric):
            assert pair.paired.look_confidence == get_look_confidence(pair.difference.seeds, SEEDS, 0.95) or (
                "base" in {pair.better.label, pair.other.label}
            )
            assert pair.paired.methods == 4
            assert (pair.p < 0.05) == (not pair.difference.low <= 0 <= pair.difference.high)


def test_a_dropped_method_ranks_below_all_that_are_still_compared_whatever_its_mean() -> None:
    run = make_run()
    rounds = replay_rounds(run.recipe, run.records)
    late = run.recipe.seeds[rounds.dropped["soft-prompt"].seeds :]
    fallen = [
        give_scores(r, draw_scores(-20.0, 7)) if r.trial.label in {"lora", "full"} and r.trial.seed in late else r
        for r in run.records
    ]
    comparison = judge(replace(run, records=tuple(fallen)))
    assert [row.label for row in comparison.rows][-2:] == ["soft-prompt", "base"]
    assert decide_verdict(comparison, ROUGE_L).best.label in {"lora", "full"}


def test_the_base_model_is_compared_at_every_look() -> None:
    comparison = judge(make_run())
    pair = comparison.find_pair(ROUGE_L, comparison.rows[0], comparison.rows[-1])
    assert pair.paired.first.seeds == SEEDS


def test_a_method_whose_runs_all_failed_is_dropped() -> None:
    run = make_run()
    failed = {"status": "failed", "reason": "no memory", "scores": {}, "predictions": ()}
    records = [r.model_copy(update=failed) if r.trial.label == "lora" else r for r in run.records]
    rounds = replay_rounds(run.recipe, records)
    assert rounds.looks[0].dropped["lora"] is None


def test_the_looks_are_in_the_verdict_and_on_the_page() -> None:
    comparison = judge(make_run())
    assert comparison.rounds is not None
    seeds = comparison.rounds.dropped["soft-prompt"].seeds
    text = " ".join(describe_verdict(comparison).details)
    assert f"no further seed for soft-prompt after {seeds} seeds" in text
    assert [line.seeds for line in list_looks(comparison)] == ["2", "3", "4", "5"]
    page = render_page(comparison, {}, {})
    assert "<h2>Looks</h2>" in page
    assert "soft-prompt: worse than" in page


def test_an_ordinary_comparison_has_no_looks_and_says_what_looking_again_does() -> None:
    run = make_run(until_decided=None)
    assert judge(run).rounds is None
    assert list_looks(judge(run)) == []
    assert "until_decided" not in " ".join(describe_verdict(judge(run)).details)
    assert "`until_decided: true` allows for it." in " ".join(describe_verdict(judge(keep(run, lora=2))).details)


def test_the_order_of_records_changes_no_decision() -> None:
    run = make_run()
    first, again = judge(run), judge(replace(run, records=run.records[::-1]))
    assert first.rounds == again.rounds
    assert describe_verdict(first).headline == describe_verdict(again).headline
