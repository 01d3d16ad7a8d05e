"""One trial, from a value to a record. It does not know where it runs."""

from __future__ import annotations

import gc
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tuneoff.errors import FullDiskError
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.latency import measure_inference
from tuneoff.evaluation.loss import evaluate_losses, evaluate_mean_loss
from tuneoff.evaluation.rouge import ROUGE_TYPES, compute_rouge
from tuneoff.methods import Method, get_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import count_parameters
from tuneoff.models.precision import get_dtype
from tuneoff.records.record import Costs, Epoch, Inference, Prediction, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.prepare import Preparation
from tuneoff.runtime.context import TrialContext, create_context
from tuneoff.runtime.meter import Meter, max_memory
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.atomic_write import explain_full_disk
from tuneoff.system.interrupts import StopRequest
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.loop import Training, train
from tuneoff.training.trainer import TrainingSpec

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class TrialPaths:
    """Where a trial finds what it or an earlier rung left, and leaves what it trained."""

    adapter: Path
    checkpoint: Path
    checkpoint_before: Path | None  # None: on the first rung


def run_trial(
    trial: Trial, preparation: Preparation, places: TrialPaths, on_progress: OnProgress, stop: StopRequest
) -> Record:
    """Train, and score: in a search on the validation split; to confirm, keep what was trained and open the test split.

    Whatever goes wrong becomes a record with its reason, so that the comparison can go on; only an interruption
    passes through, and a full disk, on which no record could be kept either. Every moment that is told is one at which
    it may be stopped.
    """

    def report_progress(progress: Progress) -> None:
        stop.raise_if_requested()  # before as well: who listens may be gone, as a terminal that was closed
        on_progress(progress)
        stop.raise_if_requested()

    try:
        with explain_full_disk(places.adapter.parent):
            return _run(trial, preparation, places, report_progress)
    except FullDiskError:
        shutil.rmtree(places.adapter, ignore_errors=True)  # half of it is of no use, and its room is
        raise
    except Exception as error:
        return Record(trial=trial, status="failed", reason=f"{type(error).__name__}: {error}")
    finally:
        gc.collect()
        gc.freeze()  # what is left stays: looking through all libraries took longer than a small trial


def _run(trial: Trial, preparation: Preparation, places: TrialPaths, on_progress: OnProgress) -> Record:
    from accelerate.utils import set_seed

    setting = trial.setting
    method = get_method(trial.method).read(trial.hyperparameters)
    context = create_context(preparation.device, setting.precision, on_progress)
    dtype = get_dtype(setting.precision)

    on_progress(Progress(phase="loading"))
    base = preparation.load_base()
    set_seed(trial.seed)
    tuned = method.apply(base).hold_for_training(dtype).to(context.device)
    trainable, total = count_parameters(tuned)
    facts = {
        "split_head": tuned.split_head,
        "tied": tuned.is_tied and tuned.trains_input_embedding and trainable < total,
    }
    training = train(
        tuned,
        _job(trial, method, preparation),
        context,
        rates=method.rates(tuned),
        resume_from=read_checkpoint(places.checkpoint) or read_checkpoint(places.checkpoint_before),
        checkpoint_writer=CheckpointWriter(places.checkpoint, always_last=trial.rungs[-1] < 1),
        cache=TrunkCache(_key_of(setting)),
    )

    def costs(inference: Inference | None = None) -> Costs:
        return _costs(training, context.meter, (trainable, total), method.context_tokens, places.adapter, inference)

    record = Record(
        trial=trial,
        status="diverged" if training.diverged else "done",
        reason=training.diverged,
        best_epoch=training.best_epoch,
        stopped_early=training.stopped_early,
        scores={} if training.diverged else _validation_scores(training),
        costs=costs(),
        facts=facts | _how_it_fitted(training),
        curve=training.curve,
    )
    if training.diverged:
        return record
    if trial.stage == "search":
        more = _chosen_by(trial.choose_by, tuned, preparation, context)
        return record.model_copy(update={"scores": {**record.scores, **more}, "costs": costs()})

    method.save(tuned, places.adapter)
    tuned.hold_for_inference(dtype)
    answers = _answer(tuned, preparation.text.test, preparation, context)
    if not all(math.isfinite(answer.loss) for answer in answers):
        return record.model_copy(update={"status": "diverged", "reason": "the loss over the test split was not finite"})
    scores = {
        **record.scores,
        **_seen_and_unrelated(tuned, preparation, context),
        **_means("test", answers),
        **_loss("test", sum(a.loss for a in answers) / sum(a.target_tokens for a in answers)),
    }
    on_progress(Progress(phase="inference"))
    inference = _inference(tuned, method, preparation, context)
    return record.model_copy(update={"scores": scores, "costs": costs(inference), "predictions": answers})


def _how_it_fitted(training: Training) -> dict[str, int | bool]:
    """What was done to get into memory; nothing where nothing had to be."""
    done = {"micro_batch": training.micro_batch, "gradient_checkpointing": training.gradient_checkpointing}
    return {name: value for name, value in done.items() if value}


def _key_of(setting: Setting) -> str:
    """All that decides what a trunk makes of a text, besides the text."""
    return json.dumps([setting.model_fingerprint, setting.precision, setting.device, setting.versions])


def _job(trial: Trial, method: Method, preparation: Preparation) -> TrainingSpec:
    setting = trial.setting
    return TrainingSpec(
        text=preparation.text,
        options=setting.training,
        learning_rate=method.learning_rate,
        weight_decay=method.weight_decay,
        loss_on=setting.data.loss_on,
        evaluation_batch_size=setting.evaluation.batch_size,
        seed=trial.seed,
        rungs=trial.rungs,
    )


def _chosen_by(metric: str, tuned: LanguageModel, preparation: Preparation, context: TrialContext) -> dict[str, float]:
    """The scores that a search compares besides the loss: predictions are dear, so only where they are asked for."""
    if metric == "loss":
        return {}
    tuned.hold_for_inference(get_dtype(preparation.setting.precision))
    return _means("validation", _answer(tuned, preparation.text.validation, preparation, context))


def _seen_and_unrelated(tuned: LanguageModel, preparation: Preparation, context: TrialContext) -> dict[str, float]:
    """The loss on examples that were trained on, as many as validation has, and on text unrelated to the data."""
    evaluation, text = preparation.setting.evaluation, preparation.text

    def loss_over(split: Dataset) -> float:
        return evaluate_mean_loss(tuned, split, context, batch_size=evaluation.batch_size, phase="evaluation")

    scores = _loss("train", loss_over(text.train.select(range(min(len(text.train), len(text.validation))))))
    if evaluation.unrelated_passages:
        scores |= _loss("unrelated", loss_over(preparation.unrelated))
    return scores


def _answer(
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


def _inference(
    tuned: LanguageModel, method: Method, preparation: Preparation, context: TrialContext
) -> Inference | None:
    """What serving costs; None where the untouched model does not fit into memory beside the tuned one."""
    dtype = get_dtype(preparation.setting.precision)
    try:
        served = method.merged(tuned)
        base = preparation.load_base().hold_for_inference(dtype).to(context.device)
        return measure_inference(served, base, preparation.text.test, context)
    except torch.OutOfMemoryError:
        return None


def _validation_scores(training: Training) -> dict[str, float]:
    """Of the weights that were kept."""
    kept = next(row for row in training.curve if row.epoch == (training.best_epoch or 0))
    return {} if kept.validation_loss is None else _loss("validation", kept.validation_loss)


def _loss(split: str, nats: float) -> dict[str, float]:
    """Nats per token, and perplexity, their exponential."""
    return {f"{split}/loss": nats, f"{split}/perplexity": _exp(nats)}


def _means(split: str, answers: Sequence[Prediction]) -> dict[str, float]:
    return {f"{split}/{name}": sum(a.rouge[name] for a in answers) / len(answers) for name in ROUGE_TYPES}


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def _costs(
    training: Training,
    meter: Meter,
    parameters: tuple[int, int],
    context_tokens: int,
    adapter: Path,
    inference: Inference | None,
) -> Costs:
    rows = [row for row in training.curve if row.steps]
    seconds = sum(row.train_seconds for row in rows)
    epochs = _seconds_of_epochs(rows)
    trainable, total = parameters
    return Costs(
        trainable_parameters=trainable,
        total_parameters=total,
        train_seconds=seconds,
        mean_epoch_seconds=sum(epochs) / len(epochs) if epochs else None,
        slowest_epoch_seconds=max(epochs, default=None),
        evaluation_seconds=sum(row.evaluation_seconds for row in training.curve) + meter.seconds("evaluation"),
        generation_seconds=meter.seconds("generation"),
        real_tokens_per_second=sum(row.real_tokens for row in rows) / seconds if rows else None,
        target_tokens_per_second=sum(row.target_tokens for row in rows) / seconds if rows else None,
        training_memory=meter.memory("training"),
        evaluation_memory=max_memory(meter.memory("evaluation"), meter.memory("generation")),
        context_tokens=context_tokens,
        adapter_bytes=_bytes_in(adapter) if adapter.exists() else None,
        inference=inference,
    )


def _seconds_of_epochs(rows: Sequence[Epoch]) -> list[float]:
    """Each epoch's training, the one that a rung or a divergence broke off included."""
    seconds: dict[int, float] = {}
    for row in rows:
        epoch = math.ceil(row.epoch)
        seconds[epoch] = seconds.get(epoch, 0.0) + row.train_seconds
    return list(seconds.values())


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
