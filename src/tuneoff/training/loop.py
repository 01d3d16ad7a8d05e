"""The one training loop, for every method.

It sees a model some of whose parameters require a gradient, a learning rate and a weight decay, and nothing else of
the method. For the same seed every method sees the same batches in the same order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from tuneoff.data import TextData
from tuneoff.data.batches import Batch, collate, epoch_batches
from tuneoff.evaluation.loss import mean_loss, token_losses
from tuneoff.meter import Meter
from tuneoff.models.language_model import LanguageModel
from tuneoff.progress import Progress, Tell
from tuneoff.training.options import TrainingOptions
from tuneoff.trial import Epoch

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training came to. The model holds the weights of `best_epoch` afterwards."""

    curve: tuple[Epoch, ...]
    best_epoch: int | None  # by validation loss, never the untrained epoch 0; None if none was completed
    stopped_early: bool
    diverged: str | None  # where the loss stopped being finite, in words


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a method brings to the optimizer."""

    learning_rate: float
    weight_decay: float


def train(
    model: LanguageModel,
    text: TextData,
    rates: Rates,
    options: TrainingOptions,
    *,
    evaluation_batch_size: int,
    loss_on: str,
    seed: int,
    accelerator: Accelerator,
    meter: Meter,
    tell: Tell,
) -> Training:
    """Train what requires a gradient in `model`, and leave it with the weights of its best epoch.

    Stops after `patience` epochs without a better validation loss, and at once when a loss is not finite.
    A model without anything to train is only validated.
    """
    watch = _Watch(options.epochs, tell)
    pad = model.tokenizer.pad_token_id

    def validate() -> float:
        return mean_loss(
            model,
            text.validation,
            batch_size=evaluation_batch_size,
            loss_on=loss_on,
            accelerator=accelerator,
            meter=meter,
            tell=tell,
            phase="validation",
        )

    curve = [_untrained(validate())]
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        return Training(curve=tuple(curve), best_epoch=None, stopped_early=False, diverged=None)

    lengths = [len(tokens) for tokens in text.train["tokens"]]
    steps = math.ceil(len(lengths) / options.effective_batch_size)
    wrapped, optimizer = accelerator.prepare(model, _adamw(trained, rates))
    schedule = _schedule(options, optimizer, steps)
    _rehearse(wrapped, text.train, lengths, options, pad, loss_on, accelerator, meter)

    best_loss, best_epoch, best_weights = math.inf, None, list[Tensor]()
    diverged, stopped_early = None, False
    for epoch in range(1, options.epochs + 1):
        before = meter.seconds("training"), meter.seconds("validation")
        total = _Total()
        with meter.phase("training"):
            model.train()
            watch.begin(epoch, steps)
            for rows in epoch_batches(lengths, options.effective_batch_size, seed, epoch):
                batches = [
                    collate(text.train, part, pad, loss_on).to(accelerator.device)
                    for part in _parts(rows, options.batch_size)
                ]
                total.rate = float(schedule.get_last_lr()[0])
                nats = _step(wrapped, batches, trained, optimizer, options.clip_norm, accelerator)
                total.add(nats, batches)
                if not math.isfinite(nats):
                    diverged = f"the training loss was {nats} in step {total.steps} of epoch {epoch}"
                    break
                schedule.step()
                watch.stepped(total)
        validation_loss = None if diverged else validate()
        if validation_loss is not None and not math.isfinite(validation_loss):
            diverged = f"the validation loss was {validation_loss} after epoch {epoch}"
            validation_loss = None
        curve.append(
            Epoch(
                epoch=epoch,
                steps=total.steps,
                train_loss=total.loss,
                validation_loss=validation_loss,
                learning_rate=total.rate,
                train_seconds=meter.seconds("training") - before[0],
                evaluation_seconds=meter.seconds("validation") - before[1],
                real_tokens=total.real_tokens,
                target_tokens=total.target_tokens,
            )
        )
        if validation_loss is None:
            break
        if validation_loss < best_loss:
            best_loss, best_epoch = validation_loss, epoch
            best_weights = [p.detach().to("cpu", copy=True) for p in trained]
        elif options.patience is not None and best_epoch is not None and epoch - best_epoch >= options.patience:
            stopped_early = epoch < options.epochs
            break
    if best_epoch is not None:
        _restore(trained, best_weights)
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    accelerator.free_memory()
    return Training(curve=tuple(curve), best_epoch=best_epoch, stopped_early=stopped_early, diverged=diverged)


def _step(
    model: LanguageModel,
    batches: Sequence[Batch],
    trained: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    accelerator: Accelerator,
) -> float:
    """One update from one effective batch; its loss in nats per scored token.

    The nats of all micro-batches are divided once, by the scored tokens of all: a mean of means would weigh a token
    by the micro-batch that it fell into.
    """
    scored = sum(batch.target_tokens for batch in batches)
    total = 0.0
    for batch in batches:
        nats = token_losses(model, batch).sum()
        total += nats.item()
        if not math.isfinite(total):
            return total / scored
        accelerator.backward(nats / scored)
    if clip_norm is not None:
        accelerator.clip_grad_norm_(trained, clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return total / scored


def _rehearse(
    model: LanguageModel,
    split: Dataset,
    lengths: Sequence[int],
    options: TrainingOptions,
    pad: int,
    loss_on: str,
    accelerator: Accelerator,
    meter: Meter,
) -> None:
    """Run the longest micro-batch forward and backward, and forget it.

    What is built once (kernels, buffers) is not counted as training, and a batch that does not fit into memory
    fails here and not after an hour.
    """
    longest = sorted(range(len(lengths)), key=lambda row: -lengths[row])[: options.batch_size]
    with meter.phase("rehearsal"), torch.random.fork_rng():
        batch = collate(split, longest, pad, loss_on).to(accelerator.device)
        cast(nn.Module, model).train()
        accelerator.backward(token_losses(model, batch).sum())
        cast(nn.Module, model).zero_grad()


def _adamw(trained: Sequence[nn.Parameter], rates: Rates) -> torch.optim.Optimizer:
    # fused: one pass over memory for each step; it exists for these two
    fused = all(p.device.type in {"cpu", "cuda"} for p in trained)
    return torch.optim.AdamW(trained, lr=rates.learning_rate, weight_decay=rates.weight_decay, fused=fused)


def _schedule(
    options: TrainingOptions, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    from transformers import get_scheduler

    total = steps * options.epochs
    name = "constant_with_warmup" if options.schedule == "constant" else options.schedule
    warmup = math.ceil(options.warmup * total)
    return cast(
        torch.optim.lr_scheduler.LRScheduler,
        get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total),
    )


def _restore(trained: Sequence[nn.Parameter], weights: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, weight in zip(trained, weights, strict=True):
            parameter.copy_(weight)


def _parts(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _untrained(validation_loss: float) -> Epoch:
    return Epoch(
        epoch=0,
        steps=0,
        train_loss=None,
        validation_loss=validation_loss,
        learning_rate=0.0,
        train_seconds=0.0,
        evaluation_seconds=0.0,
        real_tokens=0,
        target_tokens=0,
    )


@dataclass
class _Total:
    """The sums of one epoch."""

    steps: int = 0
    nats: float = 0.0
    real_tokens: int = 0
    target_tokens: int = 0
    rate: float = 0.0

    def add(self, mean_nats: float, batches: Sequence[Batch]) -> None:
        scored = sum(batch.target_tokens for batch in batches)
        self.steps += 1
        self.nats += mean_nats * scored
        self.target_tokens += scored
        self.real_tokens += sum(batch.real_tokens for batch in batches)

    @property
    def loss(self) -> float | None:
        return self.nats / self.target_tokens if math.isfinite(self.nats) else None


class _Watch:
    """Tells how an epoch's training goes."""

    def __init__(self, epochs: int, tell: Tell) -> None:
        self._epochs, self._tell = epochs, tell

    def begin(self, epoch: int, steps: int) -> None:
        self._epoch, self._steps, self._start = epoch, steps, time.perf_counter()

    def stepped(self, total: _Total) -> None:
        self._tell(
            Progress(
                phase="training",
                done=total.steps,
                of=self._steps,
                epoch=self._epoch,
                epochs=self._epochs,
                loss=total.loss,
                tokens_per_second=total.real_tokens / (time.perf_counter() - self._start),
            )
        )
