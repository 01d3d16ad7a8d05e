"""How numbers, lists and counts are formatted."""

import pytest

from tuneoff.analysis.amount import Amount
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.metrics import LOSS, ROUGE_L
from tuneoff.report.format import (
    format_bytes,
    format_confidence,
    format_cost_interval,
    format_count,
    format_rate,
    format_score,
    format_seconds,
    format_share,
    join_list,
    pluralize,
)


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


def test_every_metric_can_be_formatted(comparison: Comparison) -> None:
    best = comparison.rows[0]
    assert all(format_score(metric, best.scores[metric.name].mean) for metric in comparison.metrics)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((40.0, 90.0), "40 s to 1 min 30 s"),
        ((40.0, 40.0), ""),
        (None, ""),
        ((1e-9, 5e7), "too few runs to say"),
    ],
)
def test_an_interval_of_a_cost_has_both_ends_unless_they_mean_nothing(
    interval: tuple[float, float] | None, text: str
) -> None:
    assert format_cost_interval(COSTS["train_seconds"], Amount(mean=60.0, interval=interval)) == text
