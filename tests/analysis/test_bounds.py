"""Intervals end where no score and no difference can be."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.family import compare_all
from tuneoff.analysis.pairs import estimate_lead
from tuneoff.analysis.reliability import estimate_with_lost_runs
from tuneoff.analysis.statistics import ScoreMatrix, estimate_mean
from tuneoff.metrics import LOSS, METRICS, ROUGE_L
from tuneoff.records.record import Prediction, Record
from tuneoff.report.leaderboard import build_leaderboard

UNBOUNDED = (-np.inf, np.inf)


def score(values: Sequence[float], bounds: tuple[float, float]) -> ScoreMatrix:
    return ScoreMatrix(np.array([values], dtype=float), np.ones(len(values)), trained=False, bounds=bounds)


def test_without_bounds_such_an_interval_would_leave_the_range() -> None:
    assert estimate_mean(score([100, 100, 90, 100], UNBOUNDED), 0.95).high > 100
    assert estimate_mean(score([0.01, 0.5, 0.01], UNBOUNDED), 0.95).low < 0


def test_the_interval_of_a_score_ends_at_its_range() -> None:
    assert estimate_mean(score([100, 100, 90, 100], (0, 100)), 0.95).high == 100
    assert estimate_mean(score([0.01, 0.5, 0.01], (0, np.inf)), 0.95).low == 0


def test_the_interval_of_a_difference_ends_at_the_largest_one() -> None:
    first, second = ([100.0, 100, 20, 100], [0.0, 10, 0, 0])
    free = compare_all([score(first, UNBOUNDED), score(second, UNBOUNDED)])[0, 1].estimate(0.95)
    assert free.high > 100
    difference = compare_all([score(first, (0, 100)), score(second, (0, 100))])[0, 1]
    assert difference.estimate(0.95).high == 100
    assert difference.estimate(0.95).mean == free.mean
    assert difference.estimate(0.95).low == max(free.low, -100)


def test_what_a_search_leaves_to_gain_does_not_extend_it_further() -> None:
    difference = compare_all([score([99, 98, 97], (0, 100)), score([1, 2, 3], (0, 100))])[0, 1]
    lead = estimate_lead(ROUGE_L, difference, 0.95, gain_of_first=50, gain_of_second=500)
    assert (lead.low, lead.high) == (-100, 100)


@pytest.mark.parametrize("name", METRICS)
def test_every_shipped_metric_has_a_range_and_no_loss_is_below_zero(name: str) -> None:
    low, high = METRICS[name].bounds
    assert (low, high) == ((0, np.inf) if name == LOSS.name else (0, 1))


def make_extreme(values: dict[str, float]) -> Comparison:
    """Make a comparison of single tokens in which nearly every example has an extreme score."""
    run = make_synthetic_run(methods=list(values), seeds=[1, 2])

    def change(record: Record, prediction: Prediction) -> Prediction:
        value = values[record.trial.label]
        is_odd = prediction.row == record.trial.seed
        scores = dict.fromkeys(prediction.scores, 1 - value if is_odd else value)
        return prediction.model_copy(update={"scores": scores, "loss": 0.0 if value and not is_odd else 3.0})

    records = [r.model_copy(update={"predictions": tuple(change(r, p) for p in r.predictions)}) for r in run.records]
    return judge(run.__class__(recipe=run.recipe, environment={}, data=run.data, records=tuple(records)))


def test_no_interval_of_a_comparison_leaves_the_range_of_its_metric() -> None:
    comparison = make_extreme({"base": 0.0, "lora": 1.0, "full": 1.0})
    for metric in comparison.metrics:
        low, high = (metric.scale * bound for bound in metric.bounds)
        for row in comparison.rows:
            assert low <= row.scores[metric.name].low <= row.scores[metric.name].high <= high
        for pair in comparison.get_pairs(metric):
            assert low - high <= pair.difference.low <= pair.difference.high <= high - low


def test_the_page_shows_no_more_than_the_range() -> None:
    columns = build_leaderboard(make_extreme({"base": 0.0, "lora": 1.0})).select(["rougeL", "loss"])
    ends = [[float(end) for end in cell.interval.split(" to ")] for column in columns for cell in column.cells]
    assert max(high for _, high in ends) == 100
    assert min(low for low, _ in ends) == 0


def test_lost_runs_counted_as_the_base_models_have_bounds_too() -> None:
    comparison = make_extreme({"base": 0.0, "lora": 1.0})
    lora = next(row for row in comparison.rows if row.label == "lora")
    reliability = comparison.assess(lora)
    lost = replace(reliability, lost=lora.records[:1])
    estimate = estimate_with_lost_runs(lora, comparison.base, ROUGE_L, lost, 0.95)
    assert estimate is not None
    assert (estimate.low, estimate.high) == (0, 100)
