"""Numbers as a reader says them, and the verdict sentence by sentence."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.report.synthetic import altered, synthetic_comparison, synthetic_run, with_records
from tests.report.synthetic_sweep import shifted
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.metrics import METRICS, Metric
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.report.format import (
    LOSS,
    ROUGE_L,
    format_bytes,
    format_count,
    format_level,
    format_rate,
    format_score,
    format_seconds,
    format_share,
    join_list,
    pluralize,
)
from tuneoff.report.sentences import _why_open, describe_verdict
from tuneoff.runs import Run


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0"),
        (6_912, "6,912"),
        (460_800, "460.8 k"),
        (999_960, "1.0 M"),
        (134_515_008, "134.5 M"),
        (1.236e9, "1.24 B"),
    ],
)
def test_a_count_is_said_with_four_digits(count: float, said: str) -> None:
    assert format_count(count) == said


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 B"), (27_744, "28 kB"), (999_600, "1.0 MB"), (19_562_008, "19.6 MB"), (3.87e9, "3.87 GB")]
)
def test_bytes_are_decimal(size: float, said: str) -> None:
    assert format_bytes(size) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (4.21, "4.2 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (7_500, "2 h 5 min")],
)
def test_seconds_become_minutes_and_hours(seconds: float, said: str) -> None:
    assert format_seconds(seconds) == said


@pytest.mark.parametrize(("rate", "said"), [(5e-4, "5e-4"), (2.5e-5, "2.5e-5"), (0.03, "0.03"), (0.0, "0")])
def test_a_rate_is_said_as_people_write_it(rate: float, said: str) -> None:
    assert format_rate(rate) == said


def test_a_small_share_is_not_rounded_to_nothing() -> None:
    assert format_share(0.00005) == "0.005 %"


def test_a_level_keeps_the_digits_that_it_was_set_with() -> None:
    assert (format_level(0.95), format_level(0.975)) == ("95 %", "97.5 %")


def test_rouge_has_one_decimal_and_a_loss_three() -> None:
    assert (format_score(ROUGE_L, 23.78), format_score(LOSS, 2.7184)) == ("23.8", "2.718")


def test_a_negative_number_wears_a_minus() -> None:
    assert format_score(ROUGE_L, -1.06) == "−1.1"


def test_names_are_listed_as_in_a_sentence() -> None:
    assert (join_list(["a"]), join_list(["a", "b", "c"])) == ("a", "a, b and c")


def test_one_is_not_many() -> None:
    assert (pluralize(1, "seed"), pluralize(2, "seed")) == ("1 seed", "2 seeds")


INTERVAL = r"\(−?[\d.]+ to −?[\d.]+\)"
WIDE = {"margin_rouge": 5, "margin_loss": 0.5}  # beside which the made-up methods are equal


def only(run: Run, *labels: str) -> Comparison:
    return with_records(run, [r for r in run.records if r.trial.label in labels])


def full_higher(by: float, seeds: list[int]) -> Comparison:
    """LoRA and full tuning, which are alike but for luck, with ROUGE-L of full tuning in [0, 1] that much higher."""
    run = synthetic_run(seeds=seeds, methods=["base", "lora", "full"])
    return with_records(run, [shifted(r, by) if r.trial.label == "full" else r for r in run.records])


def score_of(metric: Metric, comparison: Comparison, label: str) -> str:
    """A row's score with its interval, as the verdict is to say it."""
    (row,) = [row for row in comparison.rows if row.label == label]
    return said(metric, row.scores[metric.name].mean, row.scores[metric.name].low, row.scores[metric.name].high)


def difference_of(metric: Metric, comparison: Comparison, *labels: str) -> str:
    """How far two rows are apart, with the interval, as the verdict is to say it."""
    a, b = [row for row in comparison.rows if row.label in labels]
    difference = comparison.pair(metric, a, b).difference
    return said(metric, difference.mean, difference.low, difference.high)


def said(metric: Metric, mean: float, low: float, high: float) -> str:
    digits = 1 if metric is ROUGE_L else 3
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})".replace("-", "−")


def test_a_winner_is_said_to_win_with_its_score_and_interval(run: Run) -> None:
    clear = only(run, "base", "lora", "soft-prompt")
    score = score_of(ROUGE_L, clear, "lora")
    assert describe_verdict(clear)[0] == f"lora wins by test ROUGE-L: {score}, better than every other beyond noise."


def test_a_winner_leads_the_untouched_model_and_the_next(run: Run) -> None:
    clear = only(run, "base", "lora", "soft-prompt")
    base, following = (difference_of(ROUGE_L, clear, "lora", other) for other in ("base", "soft-prompt"))
    assert (
        describe_verdict(clear)[1]
        == f"It leads the untouched model by {base}, and the next, soft-prompt, by {following}."
    )


def test_a_winner_by_rouge_need_not_win_by_loss(comparison: Comparison) -> None:
    assert f"full wins by evaluation loss: {score_of(LOSS, comparison, 'full')}" in " ".join(
        describe_verdict(comparison)
    )


def test_without_evidence_there_is_no_winner_but_those_that_cannot_be_told_apart(comparison: Comparison) -> None:
    assert describe_verdict(comparison)[0] == (
        f"Not enough evidence for a winner by test ROUGE-L: lora has the best, "
        f"{score_of(ROUGE_L, comparison, 'lora')}, but full cannot be told apart from it."
    )


def test_a_lead_within_the_noise_is_said_to_be(comparison: Comparison) -> None:
    lead = difference_of(ROUGE_L, comparison, "lora", "full")
    assert describe_verdict(comparison)[2].endswith(f"the next, full, by {lead}, within the noise.")


def test_where_examples_would_settle_it_their_number_is_said() -> None:
    undecided = full_higher(0, seeds=[0])
    needed = decide_verdict(undecided, ROUGE_L).needed
    assert needed is not None
    assert describe_verdict(undecided)[1] == (
        f"About {needed.examples} test examples in all would settle its difference to full, "
        f"{difference_of(ROUGE_L, undecided, 'lora', 'full')}, with a chance of 80 %."
    )


def test_where_seeds_would_settle_it_their_number_is_said() -> None:
    undecided = full_higher(-0.008, seeds=[0, 1])
    needed = decide_verdict(undecided, ROUGE_L).needed
    assert needed is not None
    assert describe_verdict(undecided)[1] == (
        f"About {needed.seeds} seeds of each in all would settle its difference to full, "
        f"{difference_of(ROUGE_L, undecided, 'lora', 'full')}, with a chance of 80 %."
    )


@pytest.mark.parametrize(
    ("seeds", "begins"),
    [
        ([0], "Even 100,000 test examples would not settle its difference to full, "),
        ([0, 1, 2], "Neither 50 seeds of each nor 100,000 test examples would settle its difference to full, "),
    ],
)
def test_what_nothing_that_one_would_pay_for_settles_is_said_to_be_so(seeds: list[int], begins: str) -> None:
    undecided = full_higher(0.004 if seeds == [0] else -0.004, seeds=seeds)
    assert describe_verdict(undecided)[1].startswith(begins + difference_of(ROUGE_L, undecided, "lora", "full"))


def test_differences_too_small_to_matter_are_a_tie_and_the_cheaper_one_is_named() -> None:
    tied = synthetic_comparison(methods=["base", "lora", "full"], verdict=WIDE)
    assert describe_verdict(tied)[0] == (
        f"lora and full tie by test ROUGE-L: they differ by {difference_of(ROUGE_L, tied, 'lora', 'full')}, less than "
        "the margin of 5.0 that matters; lora is the cheaper of the two (training: 3 min 7 s)."
    )


@pytest.mark.parametrize(
    ("cheaper_by", "named"),
    [
        ("train_seconds", "last-layer is the cheapest of them (training: 14 s)"),
        ("adapter_bytes", "soft-prompt is the cheapest of them (size of its files: 28 kB)"),
    ],
)
def test_the_recipe_says_by_what_a_tie_is_broken(cheaper_by: str, named: str) -> None:
    tied = synthetic_comparison(verdict={**WIDE, "cheaper_by": cheaper_by})
    farthest = difference_of(LOSS, tied, "full", "last-layer")
    (by_loss,) = [sentence for sentence in describe_verdict(tied) if "tie by evaluation loss" in sentence]
    assert by_loss == (
        f"full, lora, soft-prompt and last-layer tie by evaluation loss: they differ by at most {farthest}, less than "
        f"the margin of 0.500 that matters; {named}."
    )


@pytest.mark.parametrize(
    "outcome",
    [
        lambda: full_higher(0.05, seeds=[0]),
        lambda: full_higher(0, seeds=[0]),
        lambda: full_higher(-0.008, seeds=[0, 1]),
        lambda: full_higher(0, seeds=[0, 1, 2]),
        lambda: synthetic_comparison(verdict=WIDE),
        lambda: synthetic_comparison(methods=["lora"]),
    ],
    ids=["winner", "open by examples", "open by seeds", "open for good", "tie", "alone"],
)
def test_every_sentence_of_scores_names_their_intervals(outcome: Callable[[], Comparison]) -> None:
    sentences = describe_verdict(outcome())
    scores = [s for s in sentences if not s.startswith("Intervals are") and " cost " not in s]
    assert [s for s in scores if not re.search(INTERVAL, s)] == []


def test_the_verdict_says_what_the_best_cost(run: Run) -> None:
    clear = only(run, "base", "lora")
    assert "lora cost 3 min 7 s of training, at most 2.14 GB of memory and 19.6 MB of files." in describe_verdict(clear)


def test_one_training_of_each_is_said_to_be_one(comparison: Comparison) -> None:
    assert describe_verdict(comparison)[-1] == (
        "Intervals are 95 %, over 40 test examples; each method was trained once, so this speaks of these trainings "
        "and not yet of the methods."
    )


def test_several_seeds_are_counted() -> None:
    last = describe_verdict(synthetic_comparison(seeds=[0, 1], methods=["base", "lora"]))[-1]
    assert last == "Intervals are 95 %, over 40 test examples and 2 seeds of each method."


def test_a_confidence_of_ones_own_is_said() -> None:
    last = describe_verdict(synthetic_comparison(methods=["base", "lora"], verdict={"confidence": 0.99}))[-1]
    assert last.startswith("Intervals are 99 %, over 40 test examples")


def test_a_base_that_nothing_beats_is_said_to_be_best(run: Run) -> None:
    ours = [r for r in run.records if r.trial.label in {"base", "soft-prompt"}]
    worse = with_records(run, [shifted(r, -0.1) if r.trial.label != "base" else r for r in ours])
    score = score_of(ROUGE_L, worse, "base")
    first = f"No training helped: the untouched model has the best test ROUGE-L, {score}, beyond noise."
    assert describe_verdict(worse)[0] == first


def test_the_untouched_model_alone_is_no_comparison_yet(run: Run) -> None:
    (only,) = describe_verdict(with_records(run, [r for r in run.records if r.trial.label == "base"]))
    assert only.startswith("The untouched model is the only one scored so far")


def test_without_a_score_the_verdict_counts_what_went_wrong(run: Run) -> None:
    broken = with_records(run, [r for r in run.records if r.status != "done"])
    assert describe_verdict(broken) == ("No trial came to a score: 1 failed trial and 1 diverged trial.",)


def test_a_label_cannot_turn_the_verdict_round(run: Run) -> None:
    renamed = [
        r.model_copy(update={"trial": r.trial.model_copy(update={"label": "a\u202eb"})})
        if r.trial.label == "full"
        else r
        for r in run.records
    ]
    assert "\u202e" not in " ".join(describe_verdict(with_records(run, renamed)))


def test_every_metric_can_be_said(comparison: Comparison) -> None:
    best = comparison.rows[0]
    assert all(format_score(metric, best.scores[metric.name].mean) for metric in METRICS)


def test_a_failed_base_leaves_a_verdict(run: Run) -> None:
    assert describe_verdict(altered(run, "base", status="failed", predictions=(), costs=None))


def test_an_interval_beyond_zero_that_settles_nothing_says_why(comparison: Comparison) -> None:
    pair = comparison.pairs(METRICS[0])[0]
    beyond = replace(pair, difference=replace(pair.difference, mean=3.0, low=1.0, high=5.0), decision="open")
    pairs = len(comparison.pairs(METRICS[0]))
    among = f"not beyond noise among {pairs} pairs (p = 0.07 after Holm)"
    assert _why_open(comparison, replace(beyond, p=0.07)) == among
    small = replace(beyond, difference=replace(beyond.difference, mean=0.3, low=0.1, high=0.6), p=0.001)
    assert _why_open(comparison, small) == "less than the 0.5 that matter"
    assert _why_open(comparison, replace(beyond, difference=replace(pair.difference, low=-1.0))) == "within the noise"
