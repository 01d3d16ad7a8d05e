"""Score single answers in tests."""

from collections.abc import Sequence

from tuneoff.metrics import METRICS, Answer
from tuneoff.metrics.metric import Metric
from tuneoff.metrics.scoring import score_answers


def score(name: str | Metric, prediction: str, *references: str) -> float:
    """Return the score of one answer."""
    metric = name if isinstance(name, Metric) else METRICS[name]
    return score_answers([metric], [Answer(prediction=prediction, references=references)])[0].scores[metric.name]


def score_all(name: str, predictions: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return the scores of a split with one reference for each example."""
    pairs = zip(predictions, references, strict=True)
    answers = [Answer(prediction=prediction, references=(reference,)) for prediction, reference in pairs]
    return [result.scores[name] for result in score_answers([METRICS[name]], answers)]
