"""One trial, from a value to a record. It does not know where it runs."""

from __future__ import annotations

import gc
import math
from pathlib import Path

import torch

from tuneoff.evaluation.generation import predictions
from tuneoff.evaluation.inference import measure_inference
from tuneoff.evaluation.loss import losses
from tuneoff.evaluation.rouge import ROUGE_TYPES, rouge_scores
from tuneoff.meter import Meter, higher
from tuneoff.methods import Method, method_named
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import parameter_counts
from tuneoff.models.precision import dtype_of
from tuneoff.preparation import Preparation
from tuneoff.progress import Progress, Tell
from tuneoff.training.loop import Job, Training, train
from tuneoff.trial import Costs, Inference, Prediction, Record, Trial
from tuneoff.workbench import Workbench, set_up


def run_trial(trial: Trial, preparation: Preparation, adapter: Path, tell: Tell) -> Record:
    """Train, keep what was trained in the folder `adapter`, and score it on the test split.

    Whatever goes wrong becomes a record with its reason, so that the comparison can go on; only an interruption
    passes through.
    """
    try:
        return _run(trial, preparation, adapter, tell)
    except Exception as error:
        return Record(trial=trial, status="failed", reason=f"{type(error).__name__}: {error}")
    finally:
        gc.collect()


def _run(trial: Trial, preparation: Preparation, adapter: Path, tell: Tell) -> Record:
    from accelerate.utils import set_seed

    setting = trial.setting
    method = method_named(trial.method).read(trial.hyperparameters)
    bench = set_up(preparation.device, setting.precision, tell)
    dtype = dtype_of(setting.precision)

    tell(Progress(phase="loading"))
    base = preparation.load_base()
    set_seed(trial.seed)
    tuned = method.apply(base).hold_for_training(dtype).to(bench.device)
    trainable, total = parameter_counts(tuned)
    facts = {
        "split_head": tuned.split_head,
        "tied": tuned.is_tied and tuned.trains_input_embedding and trainable < total,
    }
    job = Job(
        text=preparation.text,
        options=setting.training,
        learning_rate=method.learning_rate,
        weight_decay=method.weight_decay,
        loss_on=setting.data.loss_on,
        evaluation_batch_size=setting.evaluation.batch_size,
        seed=trial.seed,
    )
    training = train(tuned, job, bench)
    record = Record(
        trial=trial,
        status="diverged" if training.diverged else "done",
        reason=training.diverged,
        best_epoch=training.best_epoch,
        stopped_early=training.stopped_early,
        costs=_costs(training, bench.meter, trainable, total),
        facts=facts,
        curve=training.curve,
    )
    if training.diverged:
        return record

    method.save(tuned, adapter)
    tuned.hold_for_inference(dtype)
    answers = _answer(tuned, preparation, bench)
    if not all(math.isfinite(answer.loss) for answer in answers):
        return record.model_copy(update={"status": "diverged", "reason": "the loss over the test split was not finite"})
    tell(Progress(phase="inference"))
    inference = _inference(tuned, method, preparation, bench)
    return record.model_copy(
        update={
            "scores": _scores(training, answers),
            "costs": _costs(training, bench.meter, trainable, total, _bytes_in(adapter), inference),
            "predictions": answers,
        }
    )


def _answer(tuned: LanguageModel, preparation: Preparation, bench: Workbench) -> tuple[Prediction, ...]:
    """The test split, opened once: each example's loss, prediction and ROUGE."""
    test, evaluation, data = preparation.text.test, preparation.setting.evaluation, preparation.setting.data
    nats = losses(tuned, test, bench, batch_size=evaluation.batch_size, phase="evaluation")
    written = predictions(tuned, test, evaluation.generation, bench, max_new_tokens=data.max_target_tokens)
    references, sources = list(test["target"]), list(test["source"])
    rouge = rouge_scores(references, written)
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
        for row in range(len(test))
    )


def _inference(tuned: LanguageModel, method: Method, preparation: Preparation, bench: Workbench) -> Inference | None:
    """What serving costs; None where the untouched model does not fit into memory beside the tuned one."""
    dtype = dtype_of(preparation.setting.precision)
    try:
        served = method.merged(tuned)
        base = preparation.load_base().hold_for_inference(dtype).to(bench.device)
        return measure_inference(served, base, preparation.text.test, bench)
    except torch.OutOfMemoryError:
        return None


def _scores(training: Training, answers: tuple[Prediction, ...]) -> dict[str, float]:
    """Split means, by "split/metric"; perplexity is the exponential of the mean nats."""
    kept = next(row for row in training.curve if row.epoch == (training.best_epoch or 0))
    test_loss = sum(a.loss for a in answers) / sum(a.target_tokens for a in answers)
    scores = {f"test/{name}": sum(a.rouge[name] for a in answers) / len(answers) for name in ROUGE_TYPES}
    for split, loss in (("validation", kept.validation_loss), ("test", test_loss)):
        if loss is not None:
            scores |= {f"{split}/loss": loss, f"{split}/perplexity": _exp(loss)}
    return scores


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def _costs(
    training: Training,
    meter: Meter,
    trainable: int,
    total: int,
    adapter_bytes: int | None = None,
    inference: Inference | None = None,
) -> Costs:
    epochs = [row for row in training.curve if row.steps]
    seconds = sum(row.train_seconds for row in epochs)
    return Costs(
        trainable_parameters=trainable,
        total_parameters=total,
        train_seconds=seconds,
        mean_epoch_seconds=seconds / len(epochs) if epochs else None,
        slowest_epoch_seconds=max((row.train_seconds for row in epochs), default=None),
        evaluation_seconds=meter.seconds("validation") + meter.seconds("evaluation"),
        generation_seconds=meter.seconds("generation"),
        real_tokens_per_second=sum(row.real_tokens for row in epochs) / seconds if epochs else None,
        target_tokens_per_second=sum(row.target_tokens for row in epochs) / seconds if epochs else None,
        training_memory=meter.memory("training"),
        evaluation_memory=higher(meter.memory("evaluation"), meter.memory("generation")),
        adapter_bytes=adapter_bytes,
        inference=inference,
    )


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
