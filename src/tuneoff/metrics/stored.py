"""Score predictions as records store them, also by metrics that were added after a run was made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tuneoff.errors import MetricError
from tuneoff.metrics.metric import Answer, Metric
from tuneoff.metrics.scoring import ExampleScores, score_answers
from tuneoff.records.record import Prediction, Record

Rows = Mapping[int, Mapping[str, Any]]  # the columns of the data by the row of an example


def add_missing_scores(record: Record, metrics: Iterable[Metric], rows: Rows | None = None) -> Record:
    """Return the record with the scores of all metrics; itself if it has them.

    Args:
        rows: the columns of the test split, for a metric of the user's own.

    Raises:
        MetricError: no text was generated for the record, or a metric fails.
    """
    missing = [metric for metric in metrics if _lacks_scores(record.predictions, metric)]
    if not missing:
        return record
    predictions = score_predictions(record.predictions, missing, rows or {})
    means = {f"test/{metric.name}": metric.compute_mean(predictions) for metric in missing}
    return record.model_copy(update={"predictions": predictions, "scores": {**record.scores, **means}})


def remove_scores(record: Record, metrics: Collection[str]) -> Record:
    """Return the record without the scores of its examples by these metrics."""
    if not metrics:
        return record

    def clean(prediction: Prediction) -> Prediction:
        kept = {name: value for name, value in prediction.scores.items() if name not in metrics}
        return prediction.model_copy(update={"scores": kept})

    return record.model_copy(update={"predictions": tuple(map(clean, record.predictions))})


def score_predictions(
    predictions: Sequence[Prediction], metrics: Iterable[Metric], rows: Rows
) -> tuple[Prediction, ...]:
    """Return the predictions with their scores by the metrics of text, which combine those of several samples.

    Raises:
        MetricError: no text was generated, or a metric fails.
    """
    of_text = [metric for metric in metrics if metric.score is not None]
    if not of_text or not predictions:
        return tuple(predictions)
    samples = [score_answers(of_text, answers) for answers in _make_answers(predictions, of_text[0], rows)]
    return tuple(
        _add_scores(prediction, of_example, of_text)
        for prediction, of_example in zip(predictions, zip(*samples, strict=True), strict=True)
    )


def _lacks_scores(predictions: Sequence[Prediction], metric: Metric) -> bool:
    return metric.score is not None and any(metric.name not in prediction.scores for prediction in predictions)


def _make_answers(predictions: Sequence[Prediction], metric: Metric, rows: Rows) -> Iterator[list[Answer]]:
    """Yield the answers of the split, once for each sample."""
    texts = [prediction.samples or (prediction.prediction,) for prediction in predictions]
    for of_sample in zip(*texts, strict=True):
        answers = []
        for prediction, text in zip(predictions, of_sample, strict=True):
            if text is None:
                raise MetricError(
                    f"{metric.name} needs generated text, and the run generated none, because no metric of its recipe "
                    "needed it. Make a new run with --run, or remove the metric."
                )
            row = rows.get(prediction.row, {})
            answers.append(Answer(prediction=text, references=prediction.accepted, source=prediction.source, row=row))
        yield answers


def _add_scores(prediction: Prediction, samples: Sequence[ExampleScores], metrics: Sequence[Metric]) -> Prediction:
    """Add what the samples give. The weight of an example depends on its references, so it is that of any sample."""
    scores = {metric.name: metric.combine([sample.scores[metric.name] for sample in samples]) for metric in metrics}
    return prediction.model_copy(
        update={
            "scores": {**prediction.scores, **scores},
            "weights": {**prediction.weights, **samples[0].weights},
        }
    )
