"""The one training loop, for every method.

It sees a model some of whose parameters require a gradient, a learning rate and a weight decay, and nothing else of
the method. For the same seed every method sees the same batches in the same order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuneoff.config.training import TrainingOptions
from tuneoff.evaluation.loss import evaluate_mean_loss
from tuneoff.models.frozen_prefix import TrunkOutputs
from tuneoff.models.gradient_checkpointing import uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Epoch
from tuneoff.runtime.context import TrialContext
from tuneoff.system.interrupts import Stopped
from tuneoff.training.checkpoint import Checkpoint, CheckpointWriter
from tuneoff.training.hidden_state_cache import TrunkCache
from tuneoff.training.trainer import BestEpoch, Rates, RunningSums, Trainer, TrainingSpec


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training came to. The model holds the weights of `best_epoch` afterwards."""

    curve: tuple[Epoch, ...]
    best_epoch: float | None  # by validation loss, never the untrained epoch 0; None if none was validated
    stopped_early: bool
    diverged: str | None  # where the loss stopped being finite, in words
    micro_batch: int | None = None  # examples in one forward pass, where memory ran out with as many as asked for
    gradient_checkpointing: bool = False


def train(
    model: LanguageModel,
    job: TrainingSpec,
    context: TrialContext,
    *,
    rates: Rates | None = None,
    resume_from: Checkpoint | None = None,
    checkpoint_writer: CheckpointWriter | None = None,
    cache: TrunkCache | None = None,
) -> Training:
    """Train what requires a gradient in `model`, and leave it with the weights of its best epoch.

    Stops after `patience` epochs without a better validation loss, and at once when a loss is not finite.
    A model without anything to train is only validated.

    Args:
        rates: the trained parameters in groups of unlike learning rates; all at the job's own rate unless given.
        go_on_from: where the same job stood, at an earlier rung or anywhere. It goes on as if it had not stopped there.
        keeper: who writes checkpoints: when one is due, when the training is stopped, and of its end.
        cache: where to keep what the trunk makes of the text, if the head alone is trained.

    Raises:
        Stopped: by whoever was told of a moment; a checkpoint of that moment is written.
    """
    trunk = cache.outputs(model, job.text.train, job.loss_on, context) if cache else None
    held_out = cache.outputs(model, job.text.validation, "target", context) if cache else None
    if resume_from is None:
        start = _validate(model, job, context, held_out)
        if not math.isfinite(start):
            reason = f"the validation loss was {start} before the first step"
            return Training(curve=(), best_epoch=None, stopped_early=False, diverged=reason)
        curve = [RunningSums().as_epoch(0, start, context.meter.seconds("validation"))]
    else:
        curve = list(resume_from.curve)
    rates = rates or [(1.0, [p for p in model.parameters() if p.requires_grad])]
    if not any(parameters for _, parameters in rates):
        return Training(curve=tuple(curve), best_epoch=None, stopped_early=False, diverged=None)
    trainer, best, diverged = Trainer(model, rates, job, context, trunk), BestEpoch(), None
    if resume_from is not None:
        trainer.resume_from(resume_from)
        best = BestEpoch.of(resume_from)
    if trainer.is_unfinished:
        trainer.dry_run()
    try:
        for stop in trainer.stops:
            if _patience_is_over(curve[-1].epoch, best, job.options):
                break
            while (diverged := trainer.train_until(stop, checkpoint_writer)) is None and trainer.steps < stop:
                _write_checkpoint(checkpoint_writer, trainer.checkpoint(curve, best))
            before = context.meter.seconds("validation")
            loss = None if diverged else _validate(model, job, context, held_out)
            epoch = trainer.epoch
            if loss is not None and not math.isfinite(loss):
                diverged, loss = f"the validation loss was {loss} after epoch {epoch:g}", None
            curve.append(trainer.close_sums(loss, context.meter.seconds("validation") - before))
            if loss is None:
                break
            best.see(epoch, loss, trainer.trained)
    except Stopped:
        _write_checkpoint(checkpoint_writer, trainer.checkpoint(curve, best))
        raise
    if checkpoint_writer is not None and diverged is None:
        checkpoint_writer.write_last(trainer.checkpoint(curve, best))
    best.restore(trainer.trained)
    checkpointed = uses_gradient_checkpointing(model.base)
    trainer.release()
    return Training(
        curve=tuple(curve),
        best_epoch=best.epoch or None,
        stopped_early=diverged is None and trainer.is_unfinished,
        diverged=diverged,
        micro_batch=trainer.micro_batch.size if trainer.micro_batch.size < job.options.batch_size else None,
        gradient_checkpointing=checkpointed,
    )


def _patience_is_over(epoch: float, best: BestEpoch, options: TrainingOptions) -> bool:
    return options.patience is not None and best.epoch > 0 and epoch - best.epoch >= options.patience


def _write_checkpoint(checkpoint_writer: CheckpointWriter | None, checkpoint: Checkpoint) -> None:
    if checkpoint_writer is not None:
        checkpoint_writer.write(checkpoint)


def _validate(
    model: LanguageModel, job: TrainingSpec, context: TrialContext, trunk: TrunkOutputs | None = None
) -> float:
    size = job.evaluation_batch_size
    return evaluate_mean_loss(model, job.text.validation, context, batch_size=size, phase="validation", trunk=trunk)
