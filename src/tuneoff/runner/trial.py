"""Run one trial: train a method on a model, score it, and return its record. A trial does not know where it runs."""

from __future__ import annotations

import gc
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneoff.data import TextData
from tuneoff.errors import FullDiskError, TuneoffError
from tuneoff.evaluation.benchmarks import run_benchmarks
from tuneoff.evaluation.labels import LabelSet
from tuneoff.methods import Method, get_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import count_parameters
from tuneoff.models.precision import get_dtype, hold_for_inference, hold_for_training
from tuneoff.models.structure import has_tied_head, trains_input_embedding
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.records.record import Costs, Inference, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.costs import build_costs, count_further_tokens, measure_trial_inference
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.scores import (
    compute_search_scores,
    compute_test_scores,
    compute_train_and_unrelated_scores,
    get_validation_scores,
    predict_split,
)
from tuneoff.runtime.context import TrialContext, create_context
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.environment import get_kernel_level, get_processor_name
from tuneoff.system.full_disk import explain_full_disk
from tuneoff.system.full_memory import explain_full_memory, is_out_of_memory
from tuneoff.system.interrupts import StopRequest
from tuneoff.training.checkpoint import Checkpoint, CheckpointWriter, read_checkpoint
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.loop import TrainingResult, train
from tuneoff.training.spec import TrainingSpec
from tuneoff.training.start import set_start


@dataclass(frozen=True, kw_only=True)
class TrialPaths:
    """The files of a trial in its run directory."""

    adapter: Path
    checkpoint: Path
    previous_checkpoint: Path | None  # of the rung below; None on the first rung


def run_trial(
    trial: Trial, preparation: Preparation, paths: TrialPaths, on_progress: OnProgress, stop: StopRequest
) -> Record:
    """Train and score. A search trial is scored on validation; a confirmed one is saved and scored on the test split.

    An error becomes a record of a failed trial with the reason, so that the comparison continues. Only an interruption
    and a full disk are raised; on a full disk no record could be written either. The trial can be stopped at every
    progress event.
    """

    def report_progress(progress: Progress) -> None:
        stop.raise_if_requested()  # before the event too: after a hangup the listener has no terminal to write to
        on_progress(progress)
        stop.raise_if_requested()

    try:
        with explain_full_disk(paths.adapter.parent):
            return _train_and_score(trial, preparation, paths, report_progress)
    except FullDiskError:
        shutil.rmtree(paths.adapter, ignore_errors=True)  # a part of it is of no use but takes disk space
        raise
    except Exception as error:
        is_told = isinstance(error, TuneoffError) or not is_out_of_memory(error)
        reason = f"{type(error).__name__}: {error}" if is_told else explain_full_memory(error)
        return Record(trial=trial, status="failed", reason=reason)
    finally:
        gc.collect()
        gc.freeze()  # else every collection scans all libraries again, which takes longer than a small trial


def _train_and_score(trial: Trial, preparation: Preparation, paths: TrialPaths, on_progress: OnProgress) -> Record:
    from accelerate.utils import set_seed

    precision = trial.setting.precision
    method = get_method(trial.method).read(trial.hyperparameters)
    on_progress(Progress(phase="loading"))
    followers = preparation.begin_followers(method, trial.seed)
    context = create_context(preparation.device, precision, on_progress, followers)
    base = preparation.load_base()
    set_seed(trial.seed)
    tuned = hold_for_training(method.apply(base), get_dtype(precision))
    if not followers.in_step:  # else each device gets a part of it
        tuned = tuned.to(context.device)
    OPTIMIZERS[method.optimizer].hold(tuned)
    text = preparation.present_text(trial, method)
    labels = preparation.find_labels(text)
    parameters = count_parameters(tuned)
    facts = _list_model_facts(tuned, parameters, labels)
    spec = _build_training_spec(trial, method, text)
    start_seconds = set_start(method.set_start, tuned, spec, context) if method.reads_train else 0.0
    training = train(
        tuned,
        spec,
        context,
        parameter_groups=method.parameter_groups(tuned),
        resume_from=_read_latest_checkpoint(trial, paths),
        checkpoint_writer=CheckpointWriter(paths.checkpoint, trial.id, always_last=trial.rungs[-1] < 1),
        cache=TrunkCache(_build_trunk_key(trial.setting)),
        start_seconds=start_seconds,
    )
    context_tokens = method.context_tokens + count_further_tokens(text.test, preparation.text.test)

    def build_current_costs(inference: Inference | None = None) -> Costs:
        return build_costs(
            training, context.meter, parameters, context_tokens, paths.adapter, inference, context.followers.devices
        )

    record = Record(
        trial=trial,
        status="diverged" if training.diverged else "done",
        reason=training.diverged,
        best_epoch=training.best_epoch,
        stopped_early=training.stopped_early,
        scores={} if training.diverged else get_validation_scores(training),
        costs=build_current_costs(),
        facts=facts | _list_memory_savings(training),
        curve=training.curve,
    )
    if training.diverged:
        return record
    if trial.stage == "search":
        scores = {**record.scores, **compute_search_scores(trial.choose_by, tuned, preparation, context)}
        return record.model_copy(update={"scores": scores, "costs": build_current_costs()})

    on_progress(Progress(phase="saving"))
    method.save(tuned, paths.adapter)
    record = _score_on_test(record, tuned, method, preparation, context, text, labels)
    if record.status == "diverged":
        return record
    on_progress(Progress(phase="inference"))
    costs = build_current_costs(measure_trial_inference(tuned, method, preparation, context, text.test))
    return record.model_copy(update={"costs": costs})


def _list_model_facts(
    tuned: LanguageModel, parameters: tuple[int, int], labels: LabelSet | None
) -> dict[str, Any]:  # Any: JSON
    """Return how the model was trained: with a separate head, with tied embeddings, and with which labels."""
    trainable, total = parameters
    return {
        "split_head": tuned.split_head,
        "tied": has_tied_head(tuned.base) and trains_input_embedding(tuned.base) and trainable < total,
        **({"labels": labels.to_fact()} if labels else {}),
    }


def _score_on_test(
    record: Record,
    tuned: LanguageModel,
    method: Method,
    preparation: Preparation,
    context: TrialContext,
    text: TextData,
    labels: LabelSet | None,
) -> Record:
    """Return the record of a confirmed trial with its predictions and all scores, or as one that diverged."""
    hold_for_inference(tuned, get_dtype(preparation.setting.precision)).to(context.device)
    predictions = predict_split(tuned, text.test, preparation, context, text=text, labels=labels)
    if not all(math.isfinite(prediction.loss) for prediction in predictions):
        return record.model_copy(update={"status": "diverged", "reason": "the loss over the test split was not finite"})
    scores = {
        **record.scores,
        **compute_train_and_unrelated_scores(tuned, text, preparation, context),
        **compute_test_scores(predictions, preparation.recipe),
    }
    record = _add_benchmarks(record, tuned, method, preparation, context)
    return record.model_copy(update={"scores": scores, "predictions": predictions})


def _add_benchmarks(
    record: Record, tuned: LanguageModel, method: Method, preparation: Preparation, context: TrialContext
) -> Record:
    """Return the record with the scores of the recipe's benchmarks, if it has any."""
    benchmarks = preparation.benchmarks
    if benchmarks is None:
        return record
    scores, texts_cut = run_benchmarks(tuned, benchmarks, context, context_tokens=method.context_tokens)
    facts = {"lower_is_better": benchmarks.lower_is_better, "benchmark_texts_cut": texts_cut}
    return record.model_copy(update={"benchmarks": scores, "facts": {**record.facts, **facts}})


def _read_latest_checkpoint(trial: Trial, paths: TrialPaths) -> Checkpoint | None:
    """Return the trial's own checkpoint, else that of the rung below, else None."""
    own = read_checkpoint(paths.checkpoint, trial.id)
    return own or (read_checkpoint(paths.previous_checkpoint, trial.before.id) if trial.before else None)


def _build_training_spec(trial: Trial, method: Method, text: TextData) -> TrainingSpec:
    setting = trial.setting
    return TrainingSpec(
        text=text,
        options=setting.training,
        learning_rate=method.learning_rate,
        weight_decay=method.weight_decay,
        optimizer=OPTIMIZERS[method.optimizer],
        loss_on=setting.data.loss_on,
        evaluation_batch_size=setting.evaluation.batch_size,
        seed=trial.seed,
        rungs=trial.rungs,
    )


def _build_trunk_key(setting: Setting) -> str:
    """Return everything besides the text that the outputs of a trunk depend on."""
    machine = [get_processor_name(), get_kernel_level()]  # of a run that goes on elsewhere, the setting has another one
    model = [setting.model_fingerprint, setting.model.quantise]
    return json.dumps([*model, setting.precision, setting.device, setting.versions, machine])


def _list_memory_savings(training: TrainingResult) -> dict[str, int | bool]:
    """Return what the training changed to fit into memory; empty if it did not have to."""
    savings = {"micro_batch": training.micro_batch, "gradient_checkpointing": training.gradient_checkpointing}
    return {name: value for name, value in savings.items() if value}
