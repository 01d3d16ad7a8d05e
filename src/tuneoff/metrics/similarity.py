"""Similarity of meaning: the cosine between the embeddings of a prediction and of a reference.

Two texts about one thing in other words are similar, and so are two that differ in a number or a `not`: use it beside
a metric that sees the difference. Texts that have nothing in common are not at zero, but where the model puts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from tuneoff.config.metrics import MetricOptions
from tuneoff.config.model import ModelOptions
from tuneoff.errors import RecipeError
from tuneoff.metrics.metric import Answer, Metric, Scores
from tuneoff.metrics.percent import make_percent_metric

if TYPE_CHECKING:
    from tuneoff.models.embeddings import Embedder

NAME = "similarity"


@cache  # equal options give the same metric
def make_similarity(options: MetricOptions) -> Metric:
    """Return the metric of a model.

    Raises:
        RecipeError: the recipe names none.
    """
    if options.model is None:
        raise RecipeError(
            f"metrics.{NAME} needs an embedding model: write `metrics: [{{{NAME}: {{model: FOLDER_OR_ID}}}}]`, such as "
            "sentence-transformers/all-MiniLM-L6-v2."
        )
    metric = make_percent_metric(
        name=NAME,
        title="Similarity",
        unit="cosine × 100",
        meaning=f"Cosine between the embeddings of prediction and reference by {options.model}: × 100, mean over test "
        "examples.",
        score=partial(_score, options.model),
    )
    return replace(metric, bounds=(-1.0, 1.0), is_tried=True)


def find_fingerprint(model: str) -> str:
    """Return the fingerprint of a model's files.

    Raises:
        ModelError: there is no such model.
    """
    from tuneoff.models.sources import find_source

    return find_source(ModelOptions(name=model)).fingerprint


def _score(model: str, answers: Sequence[Answer]) -> Scores:
    """Return the best cosine over the references. An empty prediction means nothing, and is like an empty one only."""
    texts = list(dict.fromkeys(text for answer in answers for text in (answer.prediction, *answer.references)))
    embeddings = dict(zip(texts, _open_embedder(model, find_fingerprint(model)).embed(texts), strict=True))

    def compare(prediction: str, reference: str) -> float:
        if not prediction.strip() or not reference.strip():
            return float(prediction.strip() == reference.strip())
        cosine = float(embeddings[prediction] @ embeddings[reference])
        return min(1.0, max(-1.0, cosine))  # may be off by a rounding

    return Scores(
        values=[max(compare(answer.prediction, reference) for reference in answer.references) for answer in answers]
    )


@cache
def _open_embedder(model: str, fingerprint: str) -> Embedder:  # another fingerprint is another model
    from tuneoff.models.embeddings import Embedder

    return Embedder(model)
