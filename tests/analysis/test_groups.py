"""Scores of examples in groups: the group is the unit over which intervals are."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.analysis.simulation import make_comparison
from tests.report.synthetic import judge_records
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import build_score_matrix
from tuneoff.analysis.statistics import ScoreMatrix, estimate_mean
from tuneoff.metrics import LOSS, ROUGE_L
from tuneoff.report.sentences.evidence import describe_evidence
from tuneoff.report.tables import format_markdown_table


def group_examples(comparison: Comparison, groups: Sequence[str]) -> Comparison:
    """Give the examples of all records these groups."""
    records = [
        record.model_copy(
            update={
                "predictions": tuple(
                    p.model_copy(update={"group": group}) for p, group in zip(record.predictions, groups, strict=True)
                )
            }
        )
        for record in comparison.run.records
    ]
    return judge_records(comparison.run, records)


@pytest.fixture
def alone() -> Comparison:
    generator = np.random.default_rng(0)
    difficulty_E = generator.normal(30, 8, size=12)
    return make_comparison({label: difficulty_E + generator.normal(0, 2, size=(2, 12)) for label in ("lora", "full")})


UNEQUAL = [*"aaaaabbbccdd"]


def test_groups_change_no_mean(alone: Comparison) -> None:
    grouped = group_examples(alone, UNEQUAL)
    for before, after in zip(alone.rows, grouped.rows, strict=True):
        for name in alone.run.recipe.metric_table:
            assert after.scores[name].mean == pytest.approx(before.scores[name].mean)


def test_a_group_counts_as_one_with_its_sums(alone: Comparison) -> None:
    predictions = alone.rows[0].finished[0].predictions
    matrix = build_score_matrix(group_examples(alone, UNEQUAL).rows[0].finished, LOSS)
    assert (matrix.seeds, matrix.examples) == (2, 4)
    assert matrix.denominators_E[2] == predictions[8].target_tokens + predictions[9].target_tokens
    assert matrix.numerators_SE[0, 2] == pytest.approx(predictions[8].loss + predictions[9].loss)


def test_groups_of_one_example_change_nothing(alone: Comparison) -> None:
    grouped = group_examples(alone, [f"{row:02}" for row in range(12)])
    for before, after in zip(alone.rows, grouped.rows, strict=True):
        assert after.scores == before.scores


def test_texts_name_the_examples_and_the_groups(alone: Comparison) -> None:
    grouped = group_examples(alone, UNEQUAL)
    assert "over 12 test examples in 4 groups" in describe_evidence(grouped)
    assert "Scores on 12 test examples in 4 groups" in format_markdown_table(grouped)
    assert "group" not in describe_evidence(alone)


def simulate_mean(generator: np.random.Generator, groups: int, size: int, *, grouped: bool) -> bool:
    """Return whether a 95 % interval contains the true mean, 0, of scores that groups have in common."""
    scores_GE = generator.normal(0, 1, size=(groups, 1)) + generator.normal(0, 1, size=(groups, size))
    if grouped:
        matrix = ScoreMatrix(scores_GE.sum(axis=1)[None], np.full(groups, float(size)))
    else:
        matrix = ScoreMatrix(scores_GE.reshape(1, -1), np.ones(groups * size))
    estimate = estimate_mean(matrix, 0.95)
    return estimate.low <= 0 <= estimate.high


def test_intervals_over_groups_cover_and_intervals_over_their_examples_do_not() -> None:
    """15 groups of 8 examples, half of whose variance is common to the group."""
    coverage = {
        grouped: np.mean([simulate_mean(np.random.default_rng(i), 15, 8, grouped=grouped) for i in range(800)])
        for grouped in (True, False)
    }
    assert coverage[True] == pytest.approx(0.95, abs=0.025)
    assert coverage[False] < 0.75


def test_rouge_of_groups_is_the_mean_over_examples_and_not_over_groups(alone: Comparison) -> None:
    row = group_examples(alone, UNEQUAL).rows[0]
    expected = np.mean([100 * p.scores["rougeL"] for record in row.finished for p in record.predictions])
    assert build_score_matrix(row.finished, ROUGE_L).mean == pytest.approx(expected)
