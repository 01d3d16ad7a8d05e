"""Pass at k, against counting all choices of k samples."""

import itertools

import pytest

from tests.samples import make_recipe
from tuneoff.errors import MetricError, RecipeError
from tuneoff.metrics.metric import Answer, Metric, Scores
from tuneoff.metrics.pass_at_k import estimate_pass_at_k, make_pass_at_k
from tuneoff.metrics.stored import score_predictions
from tuneoff.records.record import Prediction

EXACT = Metric(
    name="exact",
    title="Exact match",
    unit="%",
    meaning="Share of equal answers.",
    higher_is_better=True,
    needs="text",
    decimals=1,
    margin=lambda _: 1.0,
    score=lambda answers: Scores(values=[float(is_right(answer)) for answer in answers]),
    scale=100.0,
    bounds=(0.0, 1.0),
)


def is_right(answer: Answer) -> bool:
    return answer.prediction in answer.references


def make_prediction(row: int, *samples: str) -> Prediction:
    return Prediction(
        row=row,
        source="s",
        reference="yes",
        prediction=samples[0],
        samples=samples,
        loss=1.0,
        target_tokens=1,
        scores={},
    )


@pytest.mark.parametrize(("samples", "right", "k"), [(5, 0, 1), (5, 2, 1), (5, 2, 3), (6, 1, 4), (4, 4, 2), (4, 3, 4)])
def test_it_is_the_share_of_choices_with_a_right_sample(samples: int, right: int, k: int) -> None:
    choices = list(itertools.combinations([True] * right + [False] * (samples - right), k))
    assert estimate_pass_at_k(samples, right, k) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_a_record_has_the_mean_and_the_chance_beside_each_other() -> None:
    predictions = [make_prediction(0, "yes", "no", "no", "yes"), make_prediction(1, "no", "no", "no", "no")]
    first, second = score_predictions(predictions, [EXACT, make_pass_at_k(EXACT, 2)], {})
    assert first.scores == {"exact": 0.5, "exact@2": pytest.approx(5 / 6)}
    assert second.scores == {"exact": 0.0, "exact@2": 0.0}


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(MetricError, match=r"exact@3 needs at least 3 samples of each prompt, and there are 2"):
        score_predictions([make_prediction(0, "yes", "no")], [make_pass_at_k(EXACT, 3)], {})


def test_a_recipe_names_it_after_a_metric_and_needs_the_samples() -> None:
    sampled = {"generation": {"temperature": 0.8, "samples": 5}}
    recipe = make_recipe(metrics=["exact@5", "exact"], evaluation=sampled)
    assert recipe.primary_metric.name == "exact@5"
    assert recipe.primary_metric is recipe.metric_table["exact@5"]
    assert recipe.primary_metric.title == "Exact match, pass@5"
    with pytest.raises(RecipeError, match=r"exact@6 needs at least 6 samples .* evaluation.generation.samples is 5"):
        make_recipe(metrics=["exact@6"], evaluation=sampled)
    with pytest.raises(RecipeError, match="macro_f1@2: macro_f1 has no full score"):
        make_recipe(metrics=["macro_f1@2"], evaluation=sampled)
