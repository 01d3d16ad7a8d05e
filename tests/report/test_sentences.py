"""The verdict in words: its headline for each outcome, the three points under it, and the details."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.analysis.simulation import make_comparison
from tests.report.outcomes import (
    add_loss,
    draw_scores,
    lose_runs,
    make_disagreement,
    make_open,
    make_outcome,
    make_single_runs,
    make_tie,
    make_winner,
    relabel,
)
from tests.report.synthetic import judge_records, judge_with_changes, make_synthetic_comparison, make_synthetic_run
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.metrics import LOSS, ROUGE_L, Metric
from tuneoff.report.format import join_list
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.chances import format_chance
from tuneoff.report.sentences.names import capitalize_name, make_names, shorten_label
from tuneoff.report.sentences.unsettled import describe_unsettled
from tuneoff.runs import Run

LONG = {"lora": "lora-rank-16-in-every-linear-layer", "full": "full-tuning-with-a-low-rate-and-decay"}


def headline_of(comparison: Comparison) -> str:
    return describe_verdict(comparison).headline


def difference_of(metric: Metric, comparison: Comparison, *labels: str) -> str:
    """The difference of two rows with its interval, as the verdict should show it."""
    a, b = [row for row in comparison.rows if row.label in labels]
    ends = comparison.find_pair(metric, a, b).difference
    digits = 1 if metric is ROUGE_L else 3
    text = f"{ends.mean:.{digits}f} ({ends.low:.{digits}f} to {ends.high:.{digits}f})"
    return text.replace("-", "−")


# The headline


def test_a_winner_is_better_than_every_other_by_more_than_matters() -> None:
    assert headline_of(make_winner()) == (
        "lora wins by test ROUGE-L: better than every other method by more than matters."
    )


def test_a_winner_that_may_be_better_by_less_than_matters_is_only_better() -> None:
    assert headline_of(make_winner(margin_rouge=1.9)) == "lora wins by test ROUGE-L: better than every other method."


def test_methods_that_are_equal_within_the_margin_tie_and_the_cheaper_is_named() -> None:
    assert headline_of(make_tie()) == (
        "lora and full tie by test ROUGE-L: equal within 0.5; lora is cheaper (training time 3 min 7 s)."
    )


@pytest.mark.parametrize(
    ("cheaper_by", "named"),
    [
        ("train_seconds", "last-layer is the cheapest (training time 14 s)"),
        ("adapter_bytes", "soft-prompt is the cheapest (file size 28 kB)"),
    ],
)
def test_the_recipe_says_which_cost_breaks_a_tie(cheaper_by: str, named: str) -> None:
    tied = make_synthetic_comparison(
        methods=["base", "last-layer", "lora", "soft-prompt", "full"],
        seeds=[0, 1, 2],
        verdict={"margin_rouge": 9, "cheaper_by": cheaper_by},
    )
    assert headline_of(tied).endswith(f"tie by test ROUGE-L: equal within 9.0; {named}.")


def test_a_base_model_that_ties_is_the_cheapest() -> None:
    tied = make_outcome(verdict={"margin_rouge": 2}, lora=13.1)
    assert headline_of(tied).endswith("equal within 2.0; the base model is cheaper (no training).")


def test_without_evidence_there_is_no_winner_and_the_candidates_are_named() -> None:
    assert headline_of(make_open()) == (
        "No clear winner by test ROUGE-L: lora leads, but full is not shown to be worse."
    )


def test_many_candidates_are_counted() -> None:
    near = make_outcome(3, 2.0, lora=13.6, full=13.5, soft_prompt=13.4, last_layer=13.3)
    assert headline_of(near) == (
        "No clear winner by test ROUGE-L: lora leads, but full, soft-prompt and 2 others are not shown to be worse."
    )


def test_a_base_model_that_nothing_beats_is_named_the_best() -> None:
    worse = make_outcome(lora=9, full=8)
    assert headline_of(worse) == (
        "No training helped: the base model is the best by test ROUGE-L, better than every trained model."
    )


def test_where_nothing_was_trained_no_training_is_said_to_have_helped_or_not() -> None:
    run = make_synthetic_run(methods=["base", "base-few-shot"], seeds=[0, 1])
    right = [p.model_copy(update={"scores": dict.fromkeys(p.scores, 0.9)}) for p in run.records[1].predictions]
    assert headline_of(judge_with_changes(run, "base-few-shot", predictions=tuple(right))).startswith(
        "base-few-shot wins by test ROUGE-L: better than every other method"
    )


def test_a_method_without_a_score_is_not_among_those_that_the_winner_is_better_than() -> None:
    assert headline_of(lose_runs(make_winner(), "full", 3)) == (
        "lora wins by test ROUGE-L: better than every other method by more than matters; full has no score."
    )


def test_of_methods_with_the_same_score_none_leads() -> None:
    scores_SE = draw_scores(24, seed_effect=0.7)
    same = make_comparison({"base": draw_scores(13, 1), "lora": scores_SE, "full": scores_SE[::-1]})
    assert headline_of(same) == "No clear winner by test ROUGE-L: lora and full have the same score."


def test_on_one_example_the_verdict_says_what_is_not_known() -> None:
    one = make_comparison({label: draw_scores(mean, examples=1) for label, mean in (("lora", 24), ("full", 20))})
    assert describe_verdict(one).points[2] == (
        "Open: lora and full. How far scores move between test examples is not known from one; more would show it."
    )


@pytest.mark.parametrize("lora", [13.0, 24.0])
def test_no_sentence_stands_twice(lora: float) -> None:
    for outcome in (
        make_outcome(lora=lora, full=24),
        make_comparison({"lora": draw_scores(lora), "full": draw_scores(24)}),
    ):
        text = describe_verdict(outcome)
        said = [*text.points, *text.extras]
        assert len(set(said)) == len(said)


# One run


def test_one_run_that_beats_another_is_not_a_win_of_its_method() -> None:
    assert headline_of(make_single_runs()) == (
        "This lora run beat this full run (test ROUGE-L 23.1 against 21.0); "
        "how far another run would move is not known."
    )


def test_one_run_that_beats_the_base_model_is_not_a_win() -> None:
    assert headline_of(make_outcome(1, lora=23.1)) == (
        "This lora run beat the base model (test ROUGE-L 23.1 against 13.0); "
        "how far another run would move is not known."
    )


def test_a_base_model_that_beats_one_run_is_not_a_win() -> None:
    assert headline_of(make_outcome(1, lora=9)).startswith("The base model beat this lora run (test ROUGE-L 13.0")


def test_two_runs_with_the_same_score_do_not_tie() -> None:
    assert headline_of(make_outcome(1, lora=23.1, full=23.1)) == (
        "This lora run and this full run have the same test ROUGE-L (23.1); "
        "how far another run would move is not known."
    )


def test_a_method_trained_once_far_below_the_others_is_named() -> None:
    means = {"base": 13, "lora": 24, "full": 22, "soft-prompt": 18}
    once = {"base", "soft-prompt"}
    scores = {label: draw_scores(mean, 1 if label in once else 3) for label, mean in means.items()}
    assert headline_of(make_comparison(scores)) == (
        "lora leads by test ROUGE-L; soft-prompt has one finished run, and how far another run would move is not known."
    )


@pytest.mark.parametrize("means", [{"lora": 40, "full": 10}, {"lora": 20.0, "full": 20.0}, {"lora": 9, "full": 8}])
def test_with_one_run_nothing_wins_or_ties_and_nothing_is_better(means: dict[str, float]) -> None:
    text = describe_verdict(make_outcome(1, **means))
    words = " ".join((text.headline, *text.points, *text.details))
    assert [word for word in (" win", " tie", "better", "equal") if word in words] == []
    assert text.chances == ()


# Lost runs


@pytest.mark.parametrize(
    ("status", "verb"), [("diverged", "diverged in"), ("failed", "failed in"), ("done", "collapsed in")]
)
def test_a_best_method_with_lost_runs_is_the_best_where_it_trains(status: str, verb: str) -> None:
    lost = lose_runs(make_winner(5), "lora", 2, status)
    assert headline_of(lost) == f"lora is best where it trains, by test ROUGE-L, but {verb} 2 of 5 runs (5 to 85 %)."


@pytest.mark.parametrize("status", ["diverged", "failed", "done"])
@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("seeds", [3, 5])
def test_a_method_with_a_lost_run_is_never_the_plain_winner(status: str, lost: int, seeds: int) -> None:
    comparison = lose_runs(make_winner(seeds), "lora", lost, status)
    for metric in (ROUGE_L, LOSS):
        verdict = decide_verdict(comparison, metric)
        assert verdict.kind != "winner" or verdict.best.label != "lora"
    assert "lora wins" not in " ".join((headline_of(comparison), *describe_verdict(comparison).details))


def test_runs_lost_in_different_ways_are_lost() -> None:
    lost = lose_runs(lose_runs(make_winner(5), "lora", 2, "failed"), "lora", 1, "diverged")
    assert "but lost 2 of 5 runs" in headline_of(lost)


@pytest.mark.parametrize("make", [make_open, make_tie])
def test_the_first_sentence_has_the_lost_runs_of_a_method_that_leads(make: Callable[[], Comparison]) -> None:
    assert re.search(r"; full diverged in 1 of \d runs \(1 to \d+ %\)\.$", headline_of(lose_runs(make(), "full", 1)))


def test_a_lost_run_of_a_method_that_is_worse_is_not_in_the_first_sentence() -> None:
    assert headline_of(lose_runs(make_winner(), "soft-prompt", 1)) == headline_of(make_winner())


# Disagreement


def test_the_first_sentence_says_where_another_metric_disagrees() -> None:
    assert headline_of(make_disagreement()) == (
        "lora wins by test ROUGE-L: better than every other method by more than matters; "
        "by evaluation loss, full is better."
    )


def test_metrics_that_differ_within_noise_do_not_disagree() -> None:
    barely = add_loss(make_open(), "lora", 0.005)
    assert barely.rank(LOSS)[0].label == "full"
    assert "by evaluation loss" not in headline_of(barely)


def test_a_second_best_that_another_metric_shows_to_be_better_disagrees() -> None:
    """The best by the other metric is a third method, which varies so much that it is not shown to be better."""
    four = make_outcome(lora=24, full=22, last_layer=18, soft_prompt=17)
    comparison = add_loss(add_loss(four, "lora", 0.05), "soft-prompt", -0.4, 0.1, 0.1)
    assert comparison.rank(LOSS)[0].label == "soft-prompt"
    assert headline_of(comparison).endswith("; by evaluation loss, full is better.")


def test_the_primary_metric_is_that_of_the_recipe() -> None:
    by_loss = add_loss(make_winner(metric="loss"), "lora", 0.5)
    assert headline_of(by_loss) == (
        "full wins by evaluation loss: better than every other method by more than matters; "
        "by ROUGE-L, ROUGE-1, ROUGE-2 and ROUGE-Lsum, lora is better."
    )
    assert "lora wins by test ROUGE-L" in " ".join(describe_verdict(by_loss).details)


# What is best, and what it costs


def test_the_first_point_is_the_lead_over_the_base_model_and_after_a_win_over_the_next() -> None:
    winner = make_winner()
    base, following = (difference_of(ROUGE_L, winner, "lora", other) for other in ("base", "full"))
    assert describe_verdict(winner).points[0] == (
        f"lora is better than the base model by {base}, more than matters; better than full by {following}, "
        "more than matters."
    )


@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (make_tie, "lora is equal to full within 0.5, ahead by {}."),
        (make_open, "lora is ahead of full by {}, which may be noise."),
        (make_single_runs, "lora is ahead of full by {} in these runs."),
    ],
)
def test_the_lead_over_the_next_method_is_a_detail_unless_it_won(make: Callable[[], Comparison], phrase: str) -> None:
    comparison = make()
    assert phrase.format(difference_of(ROUGE_L, comparison, "lora", "full")) in describe_verdict(comparison).details


def test_beside_the_lead_stands_the_score_with_lost_runs_counted_as_the_base_models() -> None:
    lead = describe_verdict(lose_runs(make_winner(5), "lora", 2)).points[0]
    assert lead.endswith("; 19.6 with lost runs counted as the base model's.")


def test_the_second_point_is_the_cost_of_the_best() -> None:
    assert describe_verdict(make_winner()).points[1] == (
        "Cost of lora: 3 min 7 s of training, 2.14 GB of memory, 19.6 MB on disk."
    )


def test_after_a_tie_the_cost_is_that_of_the_cheapest() -> None:
    tied = make_outcome(verdict={"margin_rouge": 1}, lora=24.0, full=24.1)
    assert tied.best is not None
    assert (tied.best.label, describe_verdict(tied).points[1][:13]) == ("full", "Cost of lora:")


def test_a_base_model_costs_no_training() -> None:
    assert describe_verdict(make_outcome(lora=9, full=8)).points[1] == "The base model costs no training."


def test_the_fastest_trainings_are_named_together_and_not_at_all_if_all_are() -> None:
    run = make_synthetic_run(methods=["full", "lora", "soft-prompt"])

    def describe(*seconds: float) -> str:
        by_label = dict(zip(("full", "lora", "soft-prompt"), seconds, strict=True))
        records = [
            r.model_copy(update={"costs": r.costs.model_copy(update={"train_seconds": by_label[r.trial.label]})})
            for r in run.records
            if r.costs
        ]
        return " ".join(describe_verdict(judge_records(run, records)).details)

    assert "Fastest training: lora and full (training time 1 min 40 s to 1 min 44 s)." in describe(100, 104, 150)
    assert "Fastest training" not in describe(100, 104, 107)


# What is not settled


def unsettled(comparison: Comparison) -> str:
    return describe_verdict(comparison).points[2]


CHANCE = "with an 80 % chance, averaged over what is still possible"


def with_needed(seeds: int | None, examples: int | None) -> str:
    comparison = make_open()
    verdict = decide_verdict(comparison, ROUGE_L)
    assert verdict.needed is not None
    changed = replace(verdict, needed=replace(verdict.needed, seeds=seeds, examples=examples))
    return describe_unsettled(comparison, changed, make_names(comparison))


def test_the_third_point_says_how_many_seeds_or_examples_would_settle_it() -> None:
    assert (
        with_needed(12, 1500) == f"Open: lora or full. 12 seeds or 1,500 test examples in all would settle it {CHANCE}."
    )
    assert with_needed(None, 1500) == f"Open: lora or full. 1,500 test examples in all would settle it {CHANCE}."
    assert with_needed(12, None) == f"Open: lora or full. 12 seeds in all would settle it {CHANCE}."


def test_a_question_that_no_affordable_number_would_settle_is_marked_as_such() -> None:
    assert with_needed(None, None) == (
        f"Open: lora or full. Neither 50 seeds nor 100,000 test examples settle it {CHANCE}."
    )


def test_the_numbers_are_those_of_the_verdict() -> None:
    comparison = make_open(10)
    needed = decide_verdict(comparison, ROUGE_L).needed
    assert needed is not None
    assert f"{needed.seeds or 50} seeds" in unsettled(comparison)


def test_the_hardest_of_several_open_pairs_is_named() -> None:
    open_pairs = make_outcome(3, 0.7, lora=24.4, full=24, soft_prompt=23.6)
    assert "the hardest of 2 pairs" in unsettled(open_pairs)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (make_winner, "Nothing about the best method is left open."),
        (make_tie, "Open: which of them is the best, by less than matters (0.5)."),
        (make_single_runs, "Open: the methods themselves. More seeds of each would show how far runs move."),
        (
            lambda: lose_runs(make_winner(5), "lora", 2),
            "Open: how often lora loses a run, 5 to 85 %. More seeds narrow this.",
        ),
        (
            lambda: make_winner(margin_rouge=1.9),
            "Open: whether it is better than full by more than matters (1.9).",
        ),
    ],
    ids=["winner", "tie", "one run", "lost runs", "better"],
)
def test_each_outcome_leaves_something_else_open(make: Callable[[], Comparison], text: str) -> None:
    assert unsettled(make()) == text


# Chances


def test_each_method_has_its_chances() -> None:
    chances = {chance.label: chance for chance in describe_verdict(make_open()).chances}
    assert set(chances) == {"lora", "full", "soft-prompt", "base"}
    assert chances["base"].best == "< 1 %"
    assert float(chances["base"].regret) > 10
    assert int(chances["lora"].best[:-2]) + int(chances["full"].best[:-2]) in (99, 100, 101)
    assert int(chances["lora"].within_margin[:-2]) >= int(chances["lora"].best[:-2])


@pytest.mark.parametrize(("chance", "text"), [(0.0, "< 1 %"), (0.004, "< 1 %"), (0.622, "62 %"), (1.0, "> 99 %")])
def test_a_chance_from_draws_is_never_certain(chance: float, text: str) -> None:
    assert format_chance(chance) == text


# Names, and comparisons without two scores


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["the base model"], "The base model"),
        (["the base model", "lora"], "The base model and lora"),
        (["lora", "the base model"], "lora and the base model"),
    ],
)
def test_only_the_base_model_gets_a_capital_at_the_start_of_a_sentence(names: list[str], text: str) -> None:
    assert capitalize_name(join_list(names)) == text


def test_a_long_label_loses_its_middle() -> None:
    assert (shorten_label("lora", 8), shorten_label("lora-rank-16", 8)) == ("lora", "lora…-16")


def test_labels_are_not_shortened_where_that_would_make_them_equal() -> None:
    alike = {"lora": "lora-rank-16-attention-only-tuned", "full": "lora-rank-16-everywhere-also-tuned"}
    names = make_names(relabel(make_winner(), alike), 8)
    assert [names.by_label[label] for label in alike.values()] == list(alike.values())


def test_the_base_model_alone_is_not_a_comparison_yet(run: Run) -> None:
    text = describe_verdict(judge_records(run, [r for r in run.records if r.trial.label == "base"]))
    assert text.headline.startswith("The base model is the only method with a score: test ROUGE-L ")
    assert text.points == ()


def test_where_every_training_failed_the_verdict_does_not_wait_for_more(run: Run) -> None:
    records = [r for r in run.records if r.status == "failed" or r.trial.label == "base"]
    assert headline_of(judge_records(run, records)).endswith("; 1 failed trial produced none.")


def test_without_a_score_the_verdict_counts_what_went_wrong(run: Run) -> None:
    broken = judge_records(run, [r for r in run.records if r.status != "done"])
    assert headline_of(broken) == "No trial produced a score: 1 failed trial and 1 diverged trial."


def test_a_label_cannot_reverse_the_text_direction_of_the_verdict() -> None:
    text = describe_verdict(relabel(make_open(), {"full": "a\u202eb"}))
    assert "\u202e" not in " ".join((text.headline, *text.points, *text.details))


def test_a_failed_base_leaves_a_verdict(run: Run) -> None:
    failed = judge_with_changes(run, "base", status="failed", predictions=(), costs=None)
    assert headline_of(failed).startswith("This lora run beat this full run")


# What the intervals cover


def test_a_single_training_of_each_method_is_pointed_out() -> None:
    assert describe_verdict(make_single_runs()).details[-1] == (
        "Intervals are 95 % confidence intervals over 40 test examples; each method has one finished run, so the "
        "result is about these trained models and not yet about the methods."
    )


def test_several_seeds_are_counted_and_the_confidence_of_the_recipe_is_given() -> None:
    last = describe_verdict(make_winner(2, confidence=0.99)).details[-1]
    assert last.startswith("Intervals are 99 % confidence intervals over 40 test examples and 2 seeds per method")
    assert last.endswith("Intervals of differences hold for all pairs of a metric at once.")
