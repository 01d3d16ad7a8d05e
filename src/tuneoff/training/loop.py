"""The one training loop, for every method.

It gets a model in which some parameters require a gradient, a learning rate and a weight decay, and does not know the
method. With the same seed, every method trains on the same batches in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tuneoff.config.training import TrainingOptions
from tuneoff.evaluation.loss import evaluate_mean_loss
from tuneoff.models.frozen_prefix import TrunkOutputs
from tuneoff.models.gradient_checkpointing import uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.optimizers import ParameterGroups
from tuneoff.records.record import Epoch
from tuneoff.runtime.context import TrialContext
from tuneoff.system.interrupts import Stopped
from tuneoff.training.best_epoch import BestEpoch
from tuneoff.training.checkpoint import Checkpoint, CheckpointWriter
from tuneoff.training.dry_run import dry_run
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.resume import build_checkpoint, restore_checkpoint
from tuneoff.training.running_sums import RunningSums
from tuneoff.training.sharing import Trained, share_model
from tuneoff.training.spec import TrainingSpec
from tuneoff.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The outcome of a training. The model holds the weights of `best_epoch` afterwards."""

    curve: tuple[Epoch, ...]
    best_epoch: float | None = None  # by validation loss, never the untrained epoch 0; None if none was validated
    stopped_early: bool = False
    diverged: str | None = None  # which loss or norm stopped being finite, and where
    micro_batch: int | None = None  # examples in one forward pass, if fewer than in the options fit into memory
    gradient_checkpointing: bool = False


def train(
    model: LanguageModel,
    spec: TrainingSpec,
    context: TrialContext,
    *,
    parameter_groups: ParameterGroups | None = None,
    resume_from: Checkpoint | None = None,
    checkpoint_writer: CheckpointWriter | None = None,
    cache: TrunkCache | None = None,
    start_seconds: float = 0.0,
) -> TrainingResult:
    """Train the parameters of `model` that require a gradient, and leave it with the weights of its best epoch.

    Training stops after `patience` epochs without a lower validation loss, and at once when a loss is not finite.
    A model without trainable parameters is only validated.

    Args:
        parameter_groups: the trainable parameters by multiple of the learning rate; default: all at the spec's rate.
        resume_from: a checkpoint of the same training, also of an earlier rung. The result is as if it had not stopped.
        checkpoint_writer: writes a checkpoint when one is due, when the training is stopped, and at its end.
        cache: where to store the outputs of the model's frozen part.
        start_seconds: that finding the first values took, from `set_start`. They count in the first epoch.

    Raises:
        Stopped: by a progress listener. A checkpoint is written first.
    """
    train_trunk = cache.get_outputs(model, spec.text.train, spec.loss_on, context) if cache else None
    validation_trunk = cache.get_outputs(model, spec.text.validation, "target", context) if cache else None
    groups = parameter_groups or [(1.0, [p for p in model.parameters() if p.requires_grad])]
    with share_model(model, groups, spec, context) as trained:
        validate = partial(_validate, trained.model, spec, context, validation_trunk)
        result, best = _train(
            trained, spec, context, validate, train_trunk, resume_from, checkpoint_writer, start_seconds
        )
        best.restore_weights([parameter for _, parameters in groups for parameter in parameters])
        return result


def _train(
    trained: Trained,
    spec: TrainingSpec,
    context: TrialContext,
    validate: Callable[[], tuple[float, float]],
    trunk: TrunkOutputs | None,
    resume_from: Checkpoint | None,
    checkpoint_writer: CheckpointWriter | None,
    start_seconds: float,
) -> tuple[TrainingResult, BestEpoch]:
    """Train as `train` says, with the outputs of the frozen part and the devices ready. Return the best epoch too."""
    if resume_from is None:
        loss, seconds = validate()
        if not math.isfinite(loss):
            reason = f"the validation loss was {loss} before the first step"
            return TrainingResult(curve=(), diverged=reason), BestEpoch()
        curve = [RunningSums().to_epoch(0, loss, seconds)]
    else:
        curve = list(resume_from.curve)
    if not any(parameters for _, parameters in trained.groups):
        return TrainingResult(curve=tuple(curve)), BestEpoch()
    trainer, best = Trainer(trained.model, trained.groups, spec, context, trunk, start_seconds), BestEpoch()
    if resume_from is not None:
        restore_checkpoint(trainer, resume_from)
        best = BestEpoch.from_checkpoint(resume_from)
    if trainer.remaining_stops:
        dry_run(trainer)
    diverged = _train_and_save(trainer, curve, best, validate, checkpoint_writer)
    result = TrainingResult(
        curve=tuple(curve),
        best_epoch=best.epoch or None,
        stopped_early=diverged is None and bool(trainer.remaining_stops),
        diverged=diverged,
        micro_batch=trainer.micro_batch.size if trainer.micro_batch.size < spec.options.batch_size else None,
        gradient_checkpointing=uses_gradient_checkpointing(trained.model.base),
    )
    trainer.release()
    return result, best


def _train_and_save(
    trainer: Trainer,
    curve: list[Epoch],
    best: BestEpoch,
    validate: Callable[[], tuple[float, float]],
    checkpoint_writer: CheckpointWriter | None,
) -> str | None:
    """Train as `_train_to_last_stop` does, and write a checkpoint when this is stopped and at its end."""
    try:
        diverged = _train_to_last_stop(trainer, curve, best, validate, checkpoint_writer)
    except Stopped:
        if checkpoint_writer is not None:
            checkpoint_writer.write(build_checkpoint(checkpoint_writer.trial, trainer, curve, best))
        raise
    if checkpoint_writer is not None and diverged is None:
        checkpoint_writer.write_last(build_checkpoint(checkpoint_writer.trial, trainer, curve, best))
    return diverged


def _train_to_last_stop(
    trainer: Trainer,
    curve: list[Epoch],
    best: BestEpoch,
    validate: Callable[[], tuple[float, float]],
    checkpoint_writer: CheckpointWriter | None,
) -> str | None:
    """Train and validate until the end of the training or of patience, updating `curve` and `best` in place.

    They are up to date whenever an exception ends this, so that a checkpoint can be written.

    Returns:
        Why the training diverged, or None.
    """
    for stop in trainer.remaining_stops:
        if _is_patience_over(curve[-1].epoch, best, trainer.spec.options):
            return None
        while (diverged := trainer.train_until(stop, checkpoint_writer)) is None and trainer.completed_steps < stop:
            if checkpoint_writer is not None:
                checkpoint_writer.write(build_checkpoint(checkpoint_writer.trial, trainer, curve, best))
        if diverged is not None:
            curve.append(trainer.finish_epoch(None, 0.0))
            return diverged
        loss, seconds = validate()
        epoch = trainer.completed_epochs
        if not math.isfinite(loss):
            curve.append(trainer.finish_epoch(None, seconds))
            return f"the validation loss was {loss} after epoch {epoch:g}"
        curve.append(trainer.finish_epoch(loss, seconds))
        best.update(epoch, loss, trainer.devices.read_weights)
    return None


def _is_patience_over(epoch: float, best: BestEpoch, options: TrainingOptions) -> bool:
    return options.patience is not None and best.epoch > 0 and epoch - best.epoch >= options.patience


def _validate(
    model: LanguageModel, spec: TrainingSpec, context: TrialContext, trunk: TrunkOutputs | None
) -> tuple[float, float]:
    """Return the mean loss over the validation split, and the seconds it took."""
    seconds_before = context.meter.get_seconds("validation")
    loss = evaluate_mean_loss(
        model,
        spec.text.validation,
        context,
        batch_size=spec.evaluation_batch_size,
        phase="validation",
        trunk=trunk,
        followers=context.followers,
    )
    return loss, context.meter.get_seconds("validation") - seconds_before
