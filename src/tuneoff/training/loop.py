"""The one training loop, for every method.

It sees a model some of whose parameters require a gradient, a learning rate and a weight decay, and nothing else of
the method. For the same seed every method sees the same batches in the same order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tuneoff.data import TextData, token_counts
from tuneoff.data.batches import Batch, collate, epoch_batches
from tuneoff.evaluation.loss import mean_loss, token_losses
from tuneoff.models.language_model import LanguageModel
from tuneoff.progress import Progress
from tuneoff.training.options import TrainingOptions
from tuneoff.trial import Epoch
from tuneoff.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training came to. The model holds the weights of `best_epoch` afterwards."""

    curve: tuple[Epoch, ...]
    best_epoch: int | None  # by validation loss, never the untrained epoch 0; None if none was completed
    stopped_early: bool
    diverged: str | None  # where the loss stopped being finite, in words


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one training is: all that decides its losses, besides the model."""

    text: TextData
    options: TrainingOptions
    learning_rate: float
    weight_decay: float
    loss_on: str
    evaluation_batch_size: int
    seed: int


def train(model: LanguageModel, job: Job, bench: Workbench) -> Training:
    """Train what requires a gradient in `model`, and leave it with the weights of its best epoch.

    Stops after `patience` epochs without a better validation loss, and at once when a loss is not finite.
    A model without anything to train is only validated.
    """
    start = _validate(model, job, bench)
    if not math.isfinite(start):
        reason = f"the validation loss was {start} before the first step"
        return Training(curve=(), best_epoch=None, stopped_early=False, diverged=reason)
    curve = [_Sums().as_epoch(0, start, bench.meter.seconds("validation"))]
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        return Training(curve=tuple(curve), best_epoch=None, stopped_early=False, diverged=None)
    trainer = _Trainer(model, trained, job, bench)
    trainer.rehearse()
    best, diverged, patience = _Best(), None, job.options.patience
    for epoch in range(1, job.options.epochs + 1):
        sums, diverged = trainer.train_epoch(epoch)
        before = bench.meter.seconds("validation")
        loss = None if diverged else _validate(model, job, bench)
        if loss is not None and not math.isfinite(loss):
            diverged, loss = f"the validation loss was {loss} after epoch {epoch}", None
        curve.append(sums.as_epoch(epoch, loss, bench.meter.seconds("validation") - before))
        if loss is None:
            break
        best.see(epoch, loss, trained)
        if patience is not None and epoch - best.epoch >= patience:
            break
    best.restore(trained)
    trainer.release()
    return Training(
        curve=tuple(curve),
        best_epoch=best.epoch or None,
        stopped_early=diverged is None and curve[-1].epoch < job.options.epochs,
        diverged=diverged,
    )


class _Trainer:
    """The model made ready by accelerate, its optimizer and its schedule."""

    def __init__(self, model: LanguageModel, trained: Sequence[nn.Parameter], job: Job, bench: Workbench) -> None:
        self._job, self._bench, self._trained = job, bench, trained
        self._lengths = token_counts(job.text.train)
        self._steps = math.ceil(len(self._lengths) / job.options.effective_batch_size)
        self._pad = model.tokenizer.pad_token_id
        self._model, self._optimizer = bench.accelerator.prepare(model, _adamw(trained, job))
        self._schedule = _schedule(self._optimizer, job.options, self._steps)

    def rehearse(self) -> None:
        """Run the longest micro-batch forward and backward, and forget it.

        What is built once (kernels, buffers) is not counted as training, and activations that do not fit into memory
        fail here and not after an hour. The optimizer's state is not there yet.
        """
        longest = sorted(range(len(self._lengths)), key=lambda row: -self._lengths[row])
        with self._bench.meter.phase("rehearsal"), torch.random.fork_rng():
            self._model.train()
            loss = token_losses(self._model, self._batch(longest[: self._job.options.batch_size])).sum()
            self._bench.accelerator.backward(loss)
            self._optimizer.zero_grad()

    def train_epoch(self, epoch: int) -> tuple[_Sums, str | None]:
        """One pass over the train split; where its loss stopped being finite, in words."""
        options, sums, seconds = self._job.options, _Sums(), self._bench.meter.seconds("training")
        diverged = None
        with self._bench.meter.phase("training"):
            self._model.train()
            for rows in epoch_batches(self._lengths, options.effective_batch_size, self._job.seed, epoch):
                batches = [self._batch(part) for part in _parts(rows, options.batch_size)]
                sums.learning_rate = float(self._schedule.get_last_lr()[0])
                nats = self._step(batches)
                sums.add(nats, batches)
                if not math.isfinite(nats):
                    diverged = f"the training loss was {nats} in step {sums.steps} of epoch {epoch}"
                    break
                self._schedule.step()
                self._bench.tell(sums.progress(epoch, options.epochs, self._steps))
        sums.train_seconds = self._bench.meter.seconds("training") - seconds
        return sums, diverged

    def release(self) -> None:
        """Give back the gradients and the optimizer's state, and the model as it was before accelerate had it."""
        self._optimizer.zero_grad()
        self._bench.accelerator.unwrap_model(self._model, keep_fp32_wrapper=False)
        self._bench.accelerator.free_memory()

    def _step(self, batches: Sequence[Batch]) -> float:
        """One update from one effective batch; its loss in nats, summed.

        The nats of all micro-batches are divided once, by the scored tokens of all: a mean of means would weigh a
        token by the micro-batch that it fell into.
        """
        scored = sum(batch.target_tokens for batch in batches)
        total = 0.0
        for batch in batches:
            nats = token_losses(self._model, batch).sum()
            total += nats.item()
            if not math.isfinite(total):
                return total
            self._bench.accelerator.backward(nats / scored)
        if self._job.options.clip_norm is not None:
            self._bench.accelerator.clip_grad_norm_(self._trained, self._job.options.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return total

    def _batch(self, rows: Sequence[int]) -> Batch:
        return collate(self._job.text.train, rows, self._pad, self._job.loss_on, self._bench.device)


@dataclass
class _Sums:
    """The sums of one epoch's training."""

    steps: int = 0
    nats: float = 0.0
    real_tokens: int = 0
    target_tokens: int = 0
    learning_rate: float = 0.0
    train_seconds: float = 0.0
    _start: float = field(default_factory=time.perf_counter)

    def add(self, nats: float, batches: Sequence[Batch]) -> None:
        self.steps += 1
        self.nats += nats
        self.target_tokens += sum(batch.target_tokens for batch in batches)
        self.real_tokens += sum(batch.real_tokens for batch in batches)

    @property
    def loss(self) -> float | None:
        """Nats per scored token so far; None before the first, and where it is not finite."""
        return self.nats / self.target_tokens if self.steps and math.isfinite(self.nats) else None

    def progress(self, epoch: int, epochs: int, steps: int) -> Progress:
        speed = self.real_tokens / (time.perf_counter() - self._start)
        return Progress(
            phase="training", done=self.steps, of=steps, epoch=epoch, epochs=epochs, loss=self.loss,
            tokens_per_second=speed,
        )  # fmt: skip

    def as_epoch(self, epoch: int, validation_loss: float | None, evaluation_seconds: float) -> Epoch:
        return Epoch(
            epoch=epoch,
            steps=self.steps,
            train_loss=self.loss,
            validation_loss=validation_loss,
            learning_rate=self.learning_rate,
            train_seconds=self.train_seconds,
            evaluation_seconds=evaluation_seconds,
            real_tokens=self.real_tokens,
            target_tokens=self.target_tokens,
        )


@dataclass
class _Best:
    """The weights of the epoch with the lowest validation loss, kept on the CPU; epoch 0 means none yet."""

    epoch: int = 0
    loss: float = math.inf
    weights: list[Tensor] = field(default_factory=list)

    def see(self, epoch: int, loss: float, trained: Sequence[nn.Parameter]) -> None:
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.weights = [p.detach().to("cpu", copy=True) for p in trained]

    @torch.no_grad()
    def restore(self, trained: Sequence[nn.Parameter]) -> None:
        for parameter, weight in zip(trained, self.weights, strict=False):  # none where no epoch was completed
            parameter.copy_(weight)


def _validate(model: LanguageModel, job: Job, bench: Workbench) -> float:
    return mean_loss(model, job.text.validation, bench, batch_size=job.evaluation_batch_size, phase="validation")


def _adamw(trained: Sequence[nn.Parameter], job: Job) -> torch.optim.Optimizer:
    # fused: one pass over memory for each step; it exists for these two kinds of device
    fused = all(p.device.type in {"cpu", "cuda"} for p in trained)
    return torch.optim.AdamW(trained, lr=job.learning_rate, weight_decay=job.weight_decay, fused=fused)


def _schedule(optimizer: Any, options: TrainingOptions, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate's course over all epochs. Any: accelerate's optimizer wraps torch's."""
    from transformers import get_scheduler

    total = steps * options.epochs
    name = "constant_with_warmup" if options.schedule == "constant" else options.schedule
    warmup = math.ceil(options.warmup * total)
    made = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    share = made.lr_lambdas[0]
    # transformers warms up from a rate of zero, which makes the first step none; ours begins at the first notch
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step + 1 if step < warmup else step))


def _parts(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
