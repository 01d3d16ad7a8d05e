"""The scores in a trial's record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.loss import evaluate_losses, evaluate_mean_loss
from tuneoff.evaluation.rouge import ROUGE_TYPES, compute_rouge
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.records.record import Prediction
from tuneoff.runner.prepare import Preparation
from tuneoff.runtime.context import TrialContext
from tuneoff.training.loop import Training

if TYPE_CHECKING:
    from datasets import Dataset


def compute_search_scores(
    metric: str, tuned: LanguageModel, preparation: Preparation, context: TrialContext
) -> dict[str, float]:
    """The scores that a search compares besides the loss: predictions are dear, so only where they are asked for."""
    if metric == "loss":
        return {}
    hold_for_inference(tuned, get_dtype(preparation.setting.precision))
    return compute_mean_rouge("validation", predict_split(tuned, preparation.text.validation, preparation, context))


def compute_extra_losses(tuned: LanguageModel, preparation: Preparation, context: TrialContext) -> dict[str, float]:
    """The loss on examples that were trained on, as many as validation has, and on text unrelated to the data."""
    evaluation, text = preparation.setting.evaluation, preparation.text

    def loss_over(split: Dataset) -> float:
        return evaluate_mean_loss(tuned, split, context, batch_size=evaluation.batch_size, phase="evaluation")

    scores = format_loss_scores(
        "train", loss_over(text.train.select(range(min(len(text.train), len(text.validation)))))
    )
    if evaluation.unrelated_passages:
        scores |= format_loss_scores("unrelated", loss_over(preparation.unrelated))
    return scores


def predict_split(
    tuned: LanguageModel, split: Dataset, preparation: Preparation, context: TrialContext
) -> tuple[Prediction, ...]:
    """Each example's loss, prediction and ROUGE: of the test split once, in a confirmed trial, else of validation."""
    evaluation, data = preparation.setting.evaluation, preparation.setting.data
    nats = evaluate_losses(tuned, split, context, batch_size=evaluation.batch_size, phase="evaluation")
    written = generate_predictions(tuned, split, evaluation.generation, context, max_new_tokens=data.max_target_tokens)
    references, sources = list(split["target"]), list(split["source"])
    rouge = compute_rouge(references, written)
    return tuple(
        Prediction(
            row=row,
            source=sources[row],
            reference=references[row],
            prediction=written[row],
            loss=nats[row][0],
            target_tokens=nats[row][1],
            rouge=rouge[row],
        )
        for row in range(len(split))
    )


def get_validation_scores(training: Training) -> dict[str, float]:
    """Of the weights that were kept."""
    kept = next(row for row in training.curve if row.epoch == (training.best_epoch or 0))
    return {} if kept.validation_loss is None else format_loss_scores("validation", kept.validation_loss)


def format_loss_scores(split: str, nats: float) -> dict[str, float]:
    """Nats per token, and perplexity, their exponential."""
    return {f"{split}/loss": nats, f"{split}/perplexity": _compute_perplexity(nats)}


def compute_mean_rouge(split: str, answers: Sequence[Prediction]) -> dict[str, float]:
    return {f"{split}/{name}": sum(a.rouge[name] for a in answers) / len(answers) for name in ROUGE_TYPES}


def _compute_perplexity(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
