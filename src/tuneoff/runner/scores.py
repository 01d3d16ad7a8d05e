"""Compute the scores of a trial: losses, perplexities and ROUGE, by "split/metric"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuneoff.data import TextData
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.labels import LabelSet, predict_labels
from tuneoff.evaluation.loss import evaluate_losses, evaluate_mean_loss
from tuneoff.metrics import compute_perplexity
from tuneoff.metrics.stored import score_predictions
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Prediction
from tuneoff.runner.prepare import Preparation
from tuneoff.runtime.context import TrialContext
from tuneoff.training.loop import TrainingResult

if TYPE_CHECKING:
    from datasets import Dataset


def get_validation_scores(training: TrainingResult) -> dict[str, float]:
    """Return the validation loss and perplexity of the weights that a training kept."""
    best_row = next(row for row in training.curve if row.epoch == (training.best_epoch or 0))
    return {} if best_row.validation_loss is None else _build_loss_scores("validation", best_row.validation_loss)


def compute_search_scores(
    metric: str, tuned: LanguageModel, preparation: Preparation, context: TrialContext
) -> dict[str, float]:
    """Return the validation scores of the generated text for a search that compares by one of them.

    Empty for a search that compares by loss, because generating predictions takes long.
    """
    if not preparation.recipe.metric_table[metric].needs_generation:
        return {}
    hold_for_inference(tuned, get_dtype(preparation.setting.precision)).to(context.device)
    text, labels = preparation.text, preparation.labels
    predictions = predict_split(tuned, text.validation, preparation, context, text=text, labels=labels)
    return _compute_text_scores("validation", predictions, preparation.recipe)


def compute_test_scores(predictions: Sequence[Prediction], recipe: Recipe) -> dict[str, float]:
    """Return the mean of each metric, and the perplexity, over the predictions of the test split."""
    nats = sum(prediction.loss for prediction in predictions)
    tokens = sum(prediction.target_tokens for prediction in predictions)
    return {**_compute_text_scores("test", predictions, recipe), **_build_loss_scores("test", nats / tokens)}


def compute_train_and_unrelated_scores(
    tuned: LanguageModel, text: TextData, preparation: Preparation, context: TrialContext
) -> dict[str, float]:
    """Return loss and perplexity on examples of train, as many as validation has, and on text unrelated to the data.

    Args:
        text: with the train split or sample that the trial was trained on.
    """
    evaluation = preparation.setting.evaluation

    def compute_loss(split: Dataset) -> float:
        return evaluate_mean_loss(tuned, split, context, batch_size=evaluation.batch_size, phase="evaluation")

    train_part = text.train.select(range(min(len(text.train), len(text.validation))))
    scores = _build_loss_scores("train", compute_loss(train_part))
    if evaluation.unrelated_passages:
        scores |= _build_loss_scores("unrelated", compute_loss(preparation.unrelated_text))
    return scores


def predict_split(
    tuned: LanguageModel,
    split: Dataset,
    preparation: Preparation,
    context: TrialContext,
    *,
    text: TextData,
    labels: LabelSet | None,
) -> tuple[Prediction, ...]:
    """Return the loss, the predicted text and the scores of each example, in the order of the split.

    Args:
        text: that the split is of, which says what ends an answer.
        labels: that predictions are chosen from; None: predictions are free text.
    """
    evaluation = preparation.setting.evaluation
    losses = evaluate_losses(tuned, split, context, batch_size=evaluation.batch_size, phase="evaluation")
    texts = _predict_texts(tuned, split, preparation, context, text, labels)
    targets, sources, references = list(split["target"]), list(split["source"]), list(split["references"])
    groups = list(split["group"]) if "group" in split.column_names else [None] * len(split)
    predictions = tuple(
        Prediction(
            row=row,
            group=groups[row],
            source=sources[row],
            reference=targets[row],
            references=tuple(references[row]),
            prediction=texts[row][0] if texts[row] else None,
            samples=texts[row] if len(texts[row]) > 1 else (),
            loss=losses[row][0],
            target_tokens=losses[row][1],
        )
        for row in range(len(split))
    )
    metrics = preparation.recipe.metric_table.values() if preparation.recipe.needs_generation else ()
    return score_predictions(predictions, metrics, read_rows(split))


def read_rows(split: Dataset) -> dict[int, dict[str, Any]]:
    """Return the columns of the data of each example."""
    return {row: json.loads(text) for row, text in enumerate(split["row"])}


def _predict_texts(
    tuned: LanguageModel,
    split: Dataset,
    preparation: Preparation,
    context: TrialContext,
    text: TextData,
    labels: LabelSet | None,
) -> list[tuple[str, ...]]:
    """Return the texts for each example: one, or as many as are sampled; none if no metric needs text."""
    if not preparation.recipe.needs_generation:
        return [()] * len(split)
    evaluation = preparation.setting.evaluation
    if labels and evaluation.generation.constrain_to is None:
        return [(name,) for name in predict_labels(tuned, split, labels, evaluation, context)]
    if preparation.text.summary.task == "text":
        return [("",)] * len(split)  # there is no prompt to continue
    generation = evaluation.generation
    if text.stops and generation.constrain_to is None:
        generation = generation.model_copy(update={"stop": (*generation.stop, *text.stops)})
    return generate_predictions(
        tuned,
        split,
        generation,
        context,
        max_new_tokens=preparation.setting.data.max_target_tokens,
        ends=text.ends,
        labels=labels,
    )


def _build_loss_scores(split: str, nats_per_token: float) -> dict[str, float]:
    return {f"{split}/loss": nats_per_token, f"{split}/perplexity": compute_perplexity(nats_per_token)}


def _compute_text_scores(split: str, predictions: Sequence[Prediction], recipe: Recipe) -> dict[str, float]:
    """Return the metrics of the generated text, the primary one first, and then in the order of their names."""
    of_text = (metric for metric in recipe.metric_table.values() if metric.score is not None)
    primary = recipe.primary_metric.name
    metrics = sorted(of_text, key=lambda metric: (metric.name != primary, metric.name))
    return {f"{split}/{metric.name}": metric.compute_mean(predictions) for metric in metrics}
