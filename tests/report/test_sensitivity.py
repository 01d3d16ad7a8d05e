"""What `tuneoff plan` says about the differences that a comparison can show."""

from dataclasses import replace

from tuneoff.analysis.noise import ExampleNoise, Noise, RunNoise
from tuneoff.analysis.sensitivity import Design, Sensitivity, Wanted
from tuneoff.config.verdict import VerdictOptions
from tuneoff.metrics import LOSS, METRICS, ROUGE_L
from tuneoff.report.sensitivity import describe_sensitivity, describe_unknown_noise

ASSUMED = Noise(runs=RunNoise(variance=1.44), examples=ExampleNoise(variance=100))
MEASURED = Noise(
    runs=RunNoise(variance=1.44, seeds=3, freedom=4),
    examples=ExampleNoise(variance=100, measured="the differences between methods"),
    measured_in="runs/fair",
)
SENSITIVITY = Sensitivity(
    metric=ROUGE_L,
    design=Design(methods=3, trained=2, seeds=3, examples=40, confidence=0.95),
    noise=MEASURED,
    difference=2.64,
    wanted=(Wanted(difference=1, seeds=5, examples=1500, seconds=4 * 3600),),
)


def describe(**changes: object) -> str:
    return " ".join(describe_sensitivity(replace(SENSITIVITY, **changes), VerdictOptions()))  # type: ignore[arg-type]


def test_the_plan_says_what_can_be_seen_what_more_needs_and_from_where_it_knows() -> None:
    assert describe() == (
        "By ROUGE-L, 80 % chance to see a difference of 2.6 points between two methods. "
        "1 point: 5 seeds × 1,500 test examples, about 4 h 0 min in all. "
        "Measured in runs/fair: the variation between runs (3 seeds of each method) and that over test examples "
        "(the differences between methods)."
    )


def test_a_difference_that_the_comparison_shows_anyway_needs_nothing() -> None:
    assert "1 point" not in describe(difference=0.9)


def test_the_margin_is_named_and_a_plan_without_a_probe_has_no_time() -> None:
    shown = describe(wanted=(Wanted(difference=0.5, seeds=7, examples=9000),))
    assert "0.5 points (the smallest that matters): 7 seeds × 9,000 test examples. " in shown


def test_a_difference_that_no_size_shows_is_said_to_be_out_of_reach() -> None:
    shown = describe(wanted=(Wanted(difference=0.5, seeds=None, examples=None),))
    assert "not even with 20 seeds × 100,000 test examples" in shown


def test_one_seed_shows_nothing_and_the_message_has_the_cure() -> None:
    shown = describe(difference=None, design=replace(SENSITIVITY.design, seeds=1))
    assert shown.startswith("With one seed, no difference between methods can be shown")
    assert "seeds: [1, 2, 3]" in shown
    assert "1 point: 5 seeds" in shown


def test_too_few_examples_show_nothing_and_the_message_has_the_cure() -> None:
    shown = describe(difference=None, design=replace(SENSITIVITY.design, examples=4))
    assert shown.startswith("With 4 test examples, no difference can be shown")
    assert "data.sizes.test" in shown


def test_what_is_assumed_is_said_with_its_size_and_how_to_measure_it() -> None:
    shown = describe(noise=ASSUMED)
    assert "Assumed: a seed moves a score by 1.2 points and a test example moves a difference by 10 points" in shown
    assert "--like RUN" in shown
    assert "Measured" not in shown


def test_other_metrics_have_their_own_unit() -> None:
    assert "a difference of 0.031 nats per target token" in describe(metric=LOSS, difference=0.0312)


def test_a_metric_whose_noise_nobody_measured_is_said_to_be_unknown_with_the_cure() -> None:
    said = describe_unknown_noise(METRICS["exact"], 3)
    assert said.startswith("Which differences in Exact match can be shown is not known")
    assert "verdict.prior.seed_sd and verdict.prior.example_sd" in said
    assert describe_unknown_noise(METRICS["exact"], 1).startswith("With one seed, no difference")
