from dataclasses import replace

import pytest

from tests.report.synthetic import altered, synthetic_comparison, with_records
from tuneoff.comparison import METRICS, Comparison
from tuneoff.report.words import (
    LOSS,
    ROUGE_L,
    bytes_in_words,
    count_in_words,
    counted,
    listed,
    rate_in_words,
    score_in_words,
    seconds_in_words,
    share_in_words,
    verdict,
)
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
    assert count_in_words(count) == said


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 B"), (27_744, "28 kB"), (999_600, "1.0 MB"), (19_562_008, "19.6 MB"), (3.87e9, "3.87 GB")]
)
def test_bytes_are_decimal(size: float, said: str) -> None:
    assert bytes_in_words(size) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (4.21, "4.2 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (7_500, "2 h 5 min")],
)
def test_seconds_become_minutes_and_hours(seconds: float, said: str) -> None:
    assert seconds_in_words(seconds) == said


@pytest.mark.parametrize(("rate", "said"), [(5e-4, "5e-4"), (2.5e-5, "2.5e-5"), (0.03, "0.03"), (0.0, "0")])
def test_a_rate_is_said_as_people_write_it(rate: float, said: str) -> None:
    assert rate_in_words(rate) == said


def test_a_small_share_is_not_rounded_to_nothing() -> None:
    assert share_in_words(0.00005) == "0.005 %"


def test_rouge_has_one_decimal_and_a_loss_three() -> None:
    assert (score_in_words(ROUGE_L, 23.78), score_in_words(LOSS, 2.7184)) == ("23.8", "2.718")


def test_a_negative_number_wears_a_minus() -> None:
    assert score_in_words(ROUGE_L, -1.06) == "−1.1"


def test_names_are_listed_as_in_a_sentence() -> None:
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


def test_one_is_not_many() -> None:
    assert (counted(1, "seed"), counted(2, "seed")) == ("1 seed", "2 seeds")


def test_the_verdict_calls_a_tie_a_tie(comparison: Comparison) -> None:
    lead = comparison.lead(ROUGE_L)
    assert lead is not None
    assert lead.difference.low < 0
    first, second, *_ = verdict(comparison)
    assert f"{lead.other.label} cannot be told apart" in first
    assert "within the noise" in second


def test_the_verdict_names_a_winner_that_is_beyond_noise(run: Run) -> None:
    clear = with_records(run, [r for r in run.records if r.trial.label in {"base", "lora", "soft-prompt"}])
    assert verdict(clear)[0].startswith("lora wins: test ROUGE-L ")


def test_the_verdict_gives_the_lead_over_the_untouched_model_with_its_interval(comparison: Comparison) -> None:
    lead = comparison.lead(ROUGE_L, comparison.base)
    assert lead is not None
    said = (
        score_in_words(ROUGE_L, value) for value in (lead.difference.mean, lead.difference.low, lead.difference.high)
    )
    assert "leads the untouched model by {} ({} to {})".format(*said) in verdict(comparison)[1]


def test_the_verdict_names_the_best_by_loss(comparison: Comparison) -> None:
    best = comparison.ranked(LOSS)[0]
    assert score_in_words(LOSS, best.scores["loss"].mean) in " ".join(verdict(comparison))


def test_the_verdict_says_what_the_best_cost(run: Run) -> None:
    clear = with_records(run, [r for r in run.records if r.trial.label in {"base", "lora"}])
    assert "lora cost 3 min 7 s of training, at most 2.14 GB of memory and 19.6 MB of files." in verdict(clear)


def test_one_training_of_each_is_said_to_be_one(comparison: Comparison) -> None:
    assert "Each method was trained once" in verdict(comparison)[-1]


def test_several_seeds_are_counted() -> None:
    assert verdict(synthetic_comparison(seeds=[0, 1], methods=["base", "lora"]))[-1] == "Scores are means over 2 seeds."


def test_a_base_that_nothing_beats_is_said_to_be_best(run: Run) -> None:
    worst = with_records(run, [r for r in run.records if r.trial.label in {"base", "lora"}])
    swapped = replace(
        worst,
        rows=tuple(
            replace(
                row, scores={**row.scores, "rougeL": replace(row.scores["rougeL"], mean=-row.scores["rougeL"].mean)}
            )
            for row in worst.rows
        ),
    )
    assert "untouched model" in verdict(swapped)[0]


def test_the_untouched_model_alone_is_no_comparison_yet(run: Run) -> None:
    (only,) = verdict(with_records(run, [r for r in run.records if r.trial.label == "base"]))
    assert only.startswith("The untouched model is the only one scored so far")


def test_without_a_score_the_verdict_counts_what_went_wrong(run: Run) -> None:
    broken = with_records(run, [r for r in run.records if r.status != "done"])
    assert verdict(broken) == ("No trial came to a score: 1 failed trial and 1 diverged trial.",)


def test_a_label_cannot_turn_the_verdict_round(run: Run) -> None:
    renamed = [
        r.model_copy(update={"trial": r.trial.model_copy(update={"label": "a\u202eb"})})
        if r.trial.label == "full"
        else r
        for r in run.records
    ]
    assert "\u202e" not in " ".join(verdict(with_records(run, renamed)))


def test_every_metric_can_be_said(comparison: Comparison) -> None:
    best = comparison.rows[0]
    assert all(score_in_words(metric, best.scores[metric.name].mean) for metric in METRICS)


def test_a_failed_base_leaves_a_verdict(run: Run) -> None:
    assert verdict(altered(run, "base", status="failed", predictions=(), costs=None))
