"""How numbers are formatted, and the verdict sentence by sentence."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.report.synthetic import judge_records, judge_with_changes, make_synthetic_comparison, make_synthetic_run
from tests.report.synthetic_sweep import shift_scores
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.records.metrics import LOSS, METRICS, ROUGE_L, Metric
from tuneoff.report.format import (
    format_bytes,
    format_confidence,
    format_count,
    format_rate,
    format_score,
    format_seconds,
    format_share,
    join_list,
    pluralize,
)
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.sentences.evidence import describe_open
from tuneoff.report.sentences.names import capitalize_name
from tuneoff.runs import Run


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (6_912, "6,912"),
        (460_800, "460.8 k"),
        (999_960, "1.0 M"),
        (134_515_008, "134.5 M"),
        (1.236e9, "1.24 B"),
    ],
)
def test_a_count_has_four_digits(count: float, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (27_744, "28 kB"), (999_600, "1.0 MB"), (19_562_008, "19.6 MB"), (3.87e9, "3.87 GB")]
)
def test_bytes_are_decimal(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (4.21, "4.2 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (7_500, "2 h 5 min")],
)
def test_seconds_become_minutes_and_hours(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(("rate", "text"), [(5e-4, "5e-4"), (2.5e-5, "2.5e-5"), (0.03, "0.03"), (0.0, "0")])
def test_a_rate_is_written_in_short_scientific_notation(rate: float, text: str) -> None:
    assert format_rate(rate) == text


def test_a_small_share_is_not_rounded_to_nothing() -> None:
    assert format_share(0.00005) == "0.005 %"


def test_a_confidence_keeps_the_digits_that_it_was_set_with() -> None:
    assert (format_confidence(0.95), format_confidence(0.975)) == ("95 %", "97.5 %")


def test_rouge_has_one_decimal_and_a_loss_three() -> None:
    assert (format_score(ROUGE_L, 23.78), format_score(LOSS, 2.7184)) == ("23.8", "2.718")


def test_a_negative_number_has_a_minus_sign() -> None:
    assert format_score(ROUGE_L, -1.06) == "−1.1"


def test_names_are_listed_as_in_a_sentence() -> None:
    assert (join_list(["a"]), join_list(["a", "b", "c"])) == ("a", "a, b and c")


def test_a_noun_is_plural_except_for_one() -> None:
    assert (pluralize(1, "seed"), pluralize(2, "seed")) == ("1 seed", "2 seeds")


INTERVAL = r"\(−?[\d.]+ to −?[\d.]+\)"
WIDE = {"margin_rouge": 5, "margin_loss": 0.5}  # margins within which the synthetic methods are equal


def only(run: Run, *labels: str) -> Comparison:
    return judge_records(run, [r for r in run.records if r.trial.label in labels])


def full_higher(by: float, seeds: list[int]) -> Comparison:
    """LoRA and full tuning, equal up to random variation, with the ROUGE-L of full tuning (in [0, 1]) raised."""
    run = make_synthetic_run(seeds=seeds, methods=["base", "lora", "full"])
    return judge_records(run, [shift_scores(r, by) if r.trial.label == "full" else r for r in run.records])


def score_of(metric: Metric, comparison: Comparison, label: str) -> str:
    """A row's score with its interval, as the verdict should show it."""
    (row,) = [row for row in comparison.rows if row.label == label]
    return format_expected(
        metric, row.scores[metric.name].mean, row.scores[metric.name].low, row.scores[metric.name].high
    )


def difference_of(metric: Metric, comparison: Comparison, *labels: str) -> str:
    """The difference of two rows with its interval, as the verdict should show it."""
    a, b = [row for row in comparison.rows if row.label in labels]
    difference = comparison.find_pair(metric, a, b).difference
    return format_expected(metric, difference.mean, difference.low, difference.high)


def format_expected(metric: Metric, mean: float, low: float, high: float) -> str:
    digits = 1 if metric is ROUGE_L else 3
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})".replace("-", "−")


def test_a_winner_is_named_with_its_score_and_interval(run: Run) -> None:
    clear = only(run, "base", "lora", "soft-prompt")
    score = score_of(ROUGE_L, clear, "lora")
    assert (
        describe_verdict(clear)[0]
        == f"lora wins by test ROUGE-L: {score}, significantly better than every other method."
    )


def test_a_winner_leads_the_base_model_and_the_next(run: Run) -> None:
    clear = only(run, "base", "lora", "soft-prompt")
    base, following = (difference_of(ROUGE_L, clear, "lora", other) for other in ("base", "soft-prompt"))
    assert (
        describe_verdict(clear)[1]
        == f"It leads the base model by {base}, and the next method, soft-prompt, by {following}."
    )


def test_a_winner_by_rouge_need_not_win_by_loss(comparison: Comparison) -> None:
    assert f"full wins by evaluation loss: {score_of(LOSS, comparison, 'full')}" in " ".join(
        describe_verdict(comparison)
    )


def test_without_evidence_there_is_no_winner_and_the_candidates_are_named(comparison: Comparison) -> None:
    assert describe_verdict(comparison)[0] == (
        f"No clear winner by test ROUGE-L: lora is ahead with "
        f"{score_of(ROUGE_L, comparison, 'lora')}, but full is not clearly worse."
    )


def test_a_lead_within_noise_is_marked_as_such(comparison: Comparison) -> None:
    lead = difference_of(ROUGE_L, comparison, "lora", "full")
    assert describe_verdict(comparison)[1].endswith(f"the next method, full, by {lead}, within noise.")


def test_the_number_of_examples_that_would_settle_it_is_given() -> None:
    undecided = full_higher(0, seeds=[0])
    needed = decide_verdict(undecided, ROUGE_L).needed
    assert needed is not None
    assert describe_verdict(undecided)[2] == (
        f"About {needed.examples} test examples in total would settle the difference between lora and full, "
        f"{difference_of(ROUGE_L, undecided, 'lora', 'full')}, with 80 % power."
    )


def test_the_number_of_seeds_that_would_settle_it_is_given() -> None:
    undecided = full_higher(-0.008, seeds=[0, 1])
    needed = decide_verdict(undecided, ROUGE_L).needed
    assert needed is not None
    assert describe_verdict(undecided)[2] == (
        f"About {needed.seeds} seeds per method in total would settle the difference between lora and full, "
        f"{difference_of(ROUGE_L, undecided, 'lora', 'full')}, with 80 % power."
    )


@pytest.mark.parametrize(
    ("seeds", "begins"),
    [
        ([0], "Even 100,000 test examples would not settle the difference between lora and full, "),
        (
            [0, 1, 2],
            "Neither 50 seeds per method nor 100,000 test examples alone would settle the difference between lora and "
            "full, ",
        ),
    ],
)
def test_a_difference_that_no_affordable_number_would_settle_is_marked_as_such(seeds: list[int], begins: str) -> None:
    undecided = full_higher(0.004 if seeds == [0] else -0.004, seeds=seeds)
    assert describe_verdict(undecided)[2].startswith(begins + difference_of(ROUGE_L, undecided, "lora", "full"))


def test_differences_too_small_to_matter_are_a_tie_and_the_cheaper_one_is_named() -> None:
    tied = make_synthetic_comparison(methods=["base", "lora", "full"], verdict=WIDE)
    assert describe_verdict(tied)[0] == (
        f"lora and full tie by test ROUGE-L: they differ by {difference_of(ROUGE_L, tied, 'lora', 'full')}, less than "
        "the smallest difference that matters, 5.0; lora is the cheaper of the two (training time: 3 min 7 s)."
    )


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


@pytest.mark.parametrize(
    ("cheaper_by", "named"),
    [
        ("train_seconds", "last-layer is the cheapest of them (training time: 14 s)"),
        ("adapter_bytes", "soft-prompt is the cheapest of them (file size: 28 kB)"),
    ],
)
def test_the_recipe_says_which_cost_breaks_a_tie(cheaper_by: str, named: str) -> None:
    tied = make_synthetic_comparison(verdict={**WIDE, "cheaper_by": cheaper_by})
    farthest = difference_of(LOSS, tied, "full", "last-layer")
    (by_loss,) = [sentence for sentence in describe_verdict(tied) if "tie by evaluation loss" in sentence]
    assert by_loss == (
        f"full, lora, soft-prompt and last-layer tie by evaluation loss: they differ by at most {farthest}, less than "
        f"the smallest difference that matters, 0.500; {named}."
    )


@pytest.mark.parametrize(
    "outcome",
    [
        lambda: full_higher(0.05, seeds=[0]),
        lambda: full_higher(0, seeds=[0]),
        lambda: full_higher(-0.008, seeds=[0, 1]),
        lambda: full_higher(0, seeds=[0, 1, 2]),
        lambda: make_synthetic_comparison(verdict=WIDE),
        lambda: make_synthetic_comparison(methods=["lora"]),
    ],
    ids=["winner", "open by examples", "open by seeds", "open for good", "tie", "alone"],
)
def test_every_sentence_with_scores_has_their_intervals(outcome: Callable[[], Comparison]) -> None:
    sentences = describe_verdict(outcome())
    scores = [s for s in sentences if not s.startswith("Intervals are") and " needed " not in s]
    assert [s for s in scores if not re.search(INTERVAL, s)] == []


def test_the_verdict_gives_the_cost_of_the_best(run: Run) -> None:
    clear = only(run, "base", "lora")
    assert "lora needed 3 min 7 s of training, 2.14 GB of peak memory and 19.6 MB of disk space." in describe_verdict(
        clear
    )


def test_a_single_training_of_each_method_is_pointed_out(comparison: Comparison) -> None:
    assert describe_verdict(comparison)[-1] == (
        "Intervals are 95 % confidence intervals over 40 test examples; each method was trained once, so the result is "
        "about these trained models and not yet about the methods."
    )


def test_several_seeds_are_counted() -> None:
    last = describe_verdict(make_synthetic_comparison(seeds=[0, 1], methods=["base", "lora"]))[-1]
    assert last == (
        "Intervals are 95 % confidence intervals over 40 test examples and 2 seeds per method, so the result is about "
        "the methods on this train split, over seeds."
    )


def test_the_confidence_of_the_recipe_is_given() -> None:
    last = describe_verdict(make_synthetic_comparison(methods=["base", "lora"], verdict={"confidence": 0.99}))[-1]
    assert last.startswith("Intervals are 99 % confidence intervals over 40 test examples")


def test_a_base_model_that_nothing_beats_is_named_best(run: Run) -> None:
    ours = [r for r in run.records if r.trial.label in {"base", "soft-prompt"}]
    worse = judge_records(run, [shift_scores(r, -0.1) if r.trial.label != "base" else r for r in ours])
    score = score_of(ROUGE_L, worse, "base")
    assert describe_verdict(worse)[0] == (
        f"No training helped: the base model has the best test ROUGE-L, {score}, "
        "significantly better than every trained model."
    )


def test_the_base_model_alone_is_not_a_comparison_yet(run: Run) -> None:
    (only,) = describe_verdict(judge_records(run, [r for r in run.records if r.trial.label == "base"]))
    assert only.startswith("The base model is the only method with a score so far")


def test_without_a_score_the_verdict_counts_what_went_wrong(run: Run) -> None:
    broken = judge_records(run, [r for r in run.records if r.status != "done"])
    assert describe_verdict(broken) == ("No trial produced a score: 1 failed trial and 1 diverged trial.",)


def test_a_label_cannot_reverse_the_text_direction_of_the_verdict(run: Run) -> None:
    renamed = [
        r.model_copy(update={"trial": r.trial.model_copy(update={"label": "a\u202eb"})})
        if r.trial.label == "full"
        else r
        for r in run.records
    ]
    assert "\u202e" not in " ".join(describe_verdict(judge_records(run, renamed)))


def test_every_metric_can_be_formatted(comparison: Comparison) -> None:
    best = comparison.rows[0]
    assert all(format_score(metric, best.scores[metric.name].mean) for metric in METRICS.values())


def test_a_failed_base_leaves_a_verdict(run: Run) -> None:
    assert describe_verdict(judge_with_changes(run, "base", status="failed", predictions=(), costs=None))


def test_an_undecided_pair_whose_interval_excludes_zero_says_why(comparison: Comparison) -> None:
    pair = comparison.get_pairs(ROUGE_L)[0]
    beyond = replace(pair, difference=replace(pair.difference, mean=3.0, low=1.0, high=5.0), decision="open")
    pairs = len(comparison.get_pairs(ROUGE_L))
    among = f"not significant (p = 0.07 with Holm's correction for {pairs} pairs)"
    assert describe_open(comparison, replace(beyond, p=0.07)) == among
    small = replace(beyond, difference=replace(beyond.difference, mean=0.3, low=0.1, high=0.6), p=0.001)
    assert describe_open(comparison, small) == "less than the smallest difference that matters, 0.5"
    assert describe_open(comparison, replace(beyond, difference=replace(pair.difference, low=-1.0))) == "within noise"
