"""One trial, from a value to a record. It does not know where it runs."""

from __future__ import annotations

import gc
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.errors import FullDiskError
from tuneoff.methods import Method, get_method
from tuneoff.models.parameters import count_parameters
from tuneoff.models.precision import get_dtype, hold_for_inference, hold_for_training
from tuneoff.models.structure import has_tied_head, trains_input_embedding
from tuneoff.records.record import Costs, Inference, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.costs import build_costs, measure_trial_inference
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.scores import (
    compute_extra_losses,
    compute_mean_rouge,
    compute_search_scores,
    format_loss_scores,
    get_validation_scores,
    predict_split,
)
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.full_disk import explain_full_disk
from tuneoff.system.interrupts import StopRequest
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.loop import Training, train
from tuneoff.training.trainer import TrainingSpec

if TYPE_CHECKING:
    pass


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
    tuned = hold_for_training(method.apply(base), dtype).to(context.device)
    trainable, total = count_parameters(tuned)
    facts = {
        "split_head": tuned.split_head,
        "tied": has_tied_head(tuned.base) and trains_input_embedding(tuned.base) and trainable < total,
    }
    training = train(
        tuned,
        _build_training_spec(trial, method, preparation),
        context,
        rates=method.parameter_groups(tuned),
        resume_from=read_checkpoint(places.checkpoint) or read_checkpoint(places.checkpoint_before),
        checkpoint_writer=CheckpointWriter(places.checkpoint, always_last=trial.rungs[-1] < 1),
        cache=TrunkCache(_build_trunk_key(setting)),
    )

    def costs(inference: Inference | None = None) -> Costs:
        return build_costs(
            training, context.meter, (trainable, total), method.context_tokens, places.adapter, inference
        )

    record = Record(
        trial=trial,
        status="diverged" if training.diverged else "done",
        reason=training.diverged,
        best_epoch=training.best_epoch,
        stopped_early=training.stopped_early,
        scores={} if training.diverged else get_validation_scores(training),
        costs=costs(),
        facts=facts | _get_memory_savings(training),
        curve=training.curve,
    )
    if training.diverged:
        return record
    if trial.stage == "search":
        more = compute_search_scores(trial.choose_by, tuned, preparation, context)
        return record.model_copy(update={"scores": {**record.scores, **more}, "costs": costs()})

    method.save(tuned, places.adapter)
    hold_for_inference(tuned, dtype)
    answers = predict_split(tuned, preparation.text.test, preparation, context)
    if not all(math.isfinite(answer.loss) for answer in answers):
        return record.model_copy(update={"status": "diverged", "reason": "the loss over the test split was not finite"})
    scores = {
        **record.scores,
        **compute_extra_losses(tuned, preparation, context),
        **compute_mean_rouge("test", answers),
        **format_loss_scores("test", sum(a.loss for a in answers) / sum(a.target_tokens for a in answers)),
    }
    on_progress(Progress(phase="inference"))
    inference = measure_trial_inference(tuned, method, preparation, context)
    return record.model_copy(update={"scores": scores, "costs": costs(inference), "predictions": answers})


def _get_memory_savings(training: Training) -> dict[str, int | bool]:
    """What was done to get into memory; nothing where nothing had to be."""
    done = {"micro_batch": training.micro_batch, "gradient_checkpointing": training.gradient_checkpointing}
    return {name: value for name, value in done.items() if value}


def _build_trunk_key(setting: Setting) -> str:
    """All that decides what a trunk makes of a text, besides the text."""
    return json.dumps([setting.model_fingerprint, setting.precision, setting.device, setting.versions])


def _build_training_spec(trial: Trial, method: Method, preparation: Preparation) -> TrainingSpec:
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
