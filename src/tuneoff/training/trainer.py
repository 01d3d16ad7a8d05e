"""The model made ready to train, its optimizer and schedule, one step after another."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, count_tokens
from tuneoff.data.batches import Batch, chunk, collate, make_epoch_batches
from tuneoff.evaluation.loss import compute_token_losses
from tuneoff.models.compilation import compile_blocks
from tuneoff.models.frozen_prefix import TrunkOutputs
from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing, uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Epoch
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.meter import MAPPED_ALONE, keep_freed_memory
from tuneoff.runtime.micro_batch import MicroBatch, require_free_memory
from tuneoff.runtime.progress import Progress
from tuneoff.system.capacity import get_memory_bytes
from tuneoff.training import rng_state
from tuneoff.training.checkpoint import Checkpoint, CheckpointWriter

Rates = Sequence[tuple[float, list[nn.Parameter]]]  # multiples of the learning rate, and who is trained with each


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """What one training is: all that decides its losses, besides the model."""

    text: TextData
    options: TrainingOptions
    learning_rate: float
    weight_decay: float
    loss_on: str
    evaluation_batch_size: int
    seed: int
    rungs: tuple[float, ...] = (1.0,)  # shares of the full training to validate at as well; it ends at the last


class Trainer:
    """The model made ready by accelerate, its optimizer, its schedule, and how many steps are done."""

    def __init__(
        self,
        model: LanguageModel,
        rates: Rates,
        job: TrainingSpec,
        context: TrialContext,
        trunk: TrunkOutputs | None = None,
    ) -> None:
        self._job, self._context, self._trunk = job, context, trunk
        self.trained = [p for _, parameters in rates for p in parameters]
        self._lengths = count_tokens(job.text.train)
        self._steps = math.ceil(len(self._lengths) / job.options.effective_batch_size)  # of an epoch
        self._language_model, self._pad = model, model.tokenizer.pad_token_id
        self._model, self._optimizer = context.accelerator.prepare(model, _make_optimizer(rates, job))
        self._schedule = _make_schedule(self._optimizer, job.options, self._steps)
        largest = max(p.numel() * p.element_size() for p in self.trained)
        self._kept_memory = keep_freed_memory if largest > MAPPED_ALONE else contextlib.nullcontext
        self._as_programs = partial(compile_blocks, model) if job.options.compile else contextlib.nullcontext
        checkpointing = job.options.gradient_checkpointing
        if checkpointing == "always":
            set_gradient_checkpointing(model.base, True)
        spare = partial(set_gradient_checkpointing, model.base, True) if checkpointing == "auto" else None
        self.micro_batch = MicroBatch(job.options.batch_size, last_resort=spare)
        self._done = 0
        self._sums = RunningSums(train_seconds=trunk.seconds if trunk else 0.0)  # computed now or earlier, by whomever

    @property
    def steps(self) -> int:
        """How many are done."""
        return self._done

    @property
    def epoch(self) -> float:
        """How many epochs are done, as a number that need not be whole."""
        return self._done / self._steps

    @property
    def stops(self) -> list[int]:
        """The steps after which to validate that are still to come: the ends of epochs, and the rungs."""
        total = self._steps * self._job.options.epochs
        rungs = {math.ceil(share * total) for share in self._job.rungs}
        epochs = set(range(self._steps, total + 1, self._steps))
        validated = self._done - self._sums.steps
        return [stop for stop in sorted(rungs | epochs) if validated < stop <= max(rungs)]

    @property
    def is_unfinished(self) -> bool:
        """Whether there were more stops to come."""
        return bool(self.stops)

    def dry_run(self) -> None:
        """Run the longest micro-batch forward and backward, and forget it.

        What is built once (kernels, buffers) is not counted as training, and activations that do not fit into memory
        fail here and not after an hour; so the largest that fits is found. The optimizer's state is not there yet.
        """
        longest = sorted(range(len(self._lengths)), key=lambda row: -self._lengths[row])

        def forward_and_backward(rows: Sequence[int]) -> None:
            with self._context.meter.phase("rehearsal"):  # whose peak is this try's own
                loss = compute_token_losses(self._model, self._batch(rows)).sum()
                self._context.accelerator.backward(loss)
                if self._context.device.type == "cpu":
                    to_come = 0 if self._done else sum(p.numel() for p in self.trained)
                    require_free_memory(
                        self._job.options.memory_limit or get_memory_bytes(self._context.device), to_come
                    )

        with torch.random.fork_rng(), self._as_programs():
            self._model.train()
            self.micro_batch.fitting(lambda size: forward_and_backward(longest[:size]), undo=self._optimizer.zero_grad)
            for rows in _make_warm_up_batches(longest, self.micro_batch.size) if self._job.options.compile else ():
                forward_and_backward(rows)
            self._optimizer.zero_grad()

    def train_until(self, stop: int, checkpoint_writer: CheckpointWriter | None = None) -> str | None:
        """The steps up to `stop`, all of one epoch, or until a checkpoint is due; where they diverged, in words."""
        seconds = self._context.meter.seconds("training")
        try:
            with self._context.meter.phase("training"), self._kept_memory(), self._as_programs():
                return self._train_until(stop, checkpoint_writer.is_due if checkpoint_writer else lambda: False)
        finally:
            self._sums.train_seconds += self._context.meter.seconds("training") - seconds

    def _train_until(self, stop: int, is_due: Callable[[], bool]) -> str | None:
        options, sums = self._job.options, self._sums
        self._model.train()
        epoch, within = divmod(self._done, self._steps)
        effective = make_epoch_batches(self._lengths, options.effective_batch_size, self._job.seed, epoch + 1)
        for step, rows in enumerate(effective[within : within + stop - self._done], start=within + 1):
            sums.learning_rate = float(self._schedule.get_last_lr()[0])
            nats, norm = self._step(rows)
            self._done += 1
            for what, value in (("training loss", nats), ("norm of the gradients", norm)):
                if not math.isfinite(value):
                    return f"the {what} was {value} in step {step} of epoch {epoch + 1}"
            self._schedule.step()
            self._context.on_progress(sums.progress(epoch + 1, options.epochs, step, self._steps))
            if is_due():
                break
        return None

    def close_sums(self, validation_loss: float | None, evaluation_seconds: float) -> Epoch:
        """The row of the curve that ends here; what follows is summed anew."""
        row = self._sums.as_epoch(self.epoch, validation_loss, evaluation_seconds)
        self._sums = RunningSums()
        return row

    def checkpoint(self, curve: Sequence[Epoch], best: BestEpoch) -> Checkpoint:
        """All that the next step depends on, and what is known of the steps so far."""
        state = self._optimizer.state_dict()
        tensors = {f"trained/{i}": p.detach() for i, p in enumerate(self.trained)}
        tensors |= {f"optimizer/{i}/{n}": t for i, kept in state["state"].items() for n, t in kept.items()}
        if best.epoch != self.epoch:  # else they are the trained ones
            tensors |= {f"best/{i}": weight for i, weight in enumerate(best.weights)}
        tensors |= {f"random/{which}": drawn for which, drawn in rng_state.get_states(self._context.device).items()}
        return Checkpoint(
            steps=self._done,
            micro_batch=self.micro_batch.size,
            gradient_checkpointing=uses_gradient_checkpointing(self._language_model.base),
            curve=tuple(curve),
            sums=self._sums.values(),
            memory=self._context.meter.peaks(),
            best_epoch=best.epoch,
            best_loss=best.loss if best.epoch else None,
            schedule={k: v for k, v in self._schedule.state_dict().items() if k != "lr_lambdas"},
            groups=[{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]],
            tensors={name: tensor.cpu() for name, tensor in tensors.items()},
        )

    @torch.no_grad()
    def resume_from(self, there: Checkpoint) -> None:
        """Stand where the checkpoint stood, to the last bit."""
        self._done, self._sums = there.steps, RunningSums(**there.sums)
        self.micro_batch.size = there.micro_batch
        if there.gradient_checkpointing:
            set_gradient_checkpointing(self._language_model.base, True)
        self._context.meter.recall(there.memory)
        for i, weight in there.part("trained").items():
            self.trained[int(i)].copy_(weight)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in there.part("optimizer").items():
            i, _, kind = name.partition("/")
            state.setdefault(int(i), {})[kind] = tensor
        groups = [
            {**kept, "params": group["params"]}
            for kept, group in zip(there.groups, self._optimizer.state_dict()["param_groups"], strict=True)
        ]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})
        self._schedule.load_state_dict({**there.schedule, "lr_lambdas": [None] * len(groups)})
        rng_state.restore_states(there.part("random"), self._context.device)

    def release(self) -> None:
        """Give back the gradients and the optimizer's state, and the model as it was before accelerate had it."""
        self._optimizer.zero_grad()
        if uses_gradient_checkpointing(self._language_model.base):
            set_gradient_checkpointing(self._language_model.base, False)
        model = self._context.accelerator.unwrap_model(self._model, keep_fp32_wrapper=False)
        model._is_accelerate_prepared = False  # else accelerate would not make it ready a second time
        self._context.accelerator.free_memory()

    def _step(self, rows: Sequence[int]) -> tuple[float, float]:
        """One update from one effective batch: its loss in nats, summed, and the norm of its gradients.

        Where the loss or the norm is not finite the weights stay as they are.
        """
        nats, batches = self.micro_batch.fitting(
            lambda size: self._gradients(rows, size), undo=self._optimizer.zero_grad
        )
        self._sums.add(nats, batches)
        norm = self._clipped_norm() if math.isfinite(nats) else 0.0
        if math.isfinite(nats) and math.isfinite(norm):
            self._optimizer.step()
        self._optimizer.zero_grad()
        return nats, norm

    def _gradients(self, rows: Sequence[int], size: int) -> tuple[float, list[Batch]]:
        """Of the mean loss over the effective batch; its nats, summed, and its micro-batches of that size.

        The nats of all micro-batches are divided once, by the scored tokens of all: a mean of means would weigh a
        token by the micro-batch that it fell into. One without a scored token teaches nothing.
        """
        batches = [self._batch(part) for part in chunk(rows, size)]
        scored = sum(batch.target_tokens for batch in batches)
        total = 0.0
        for batch in batches:
            if not batch.target_tokens:
                continue
            nats = compute_token_losses(self._model, batch).sum()
            total += nats.item()
            if not math.isfinite(total):
                break
            self._context.accelerator.backward(nats / scored)
        return total, batches

    def _clipped_norm(self) -> float:
        """Clip the gradients, if they are to be; the norm of all together before that."""
        limit = self._job.options.clip_norm
        if limit is not None:
            return float(self._context.accelerator.clip_grad_norm_(self.trained, limit))
        return float(nn.utils.get_total_norm([p.grad for p in self.trained if p.grad is not None]))

    def _batch(self, rows: Sequence[int]) -> Batch:
        return collate(self._job.text.train, rows, self._pad, self._job.loss_on, self._context.device, self._trunk)


def _make_warm_up_batches(longest: Sequence[int], size: int) -> list[list[int]]:
    """Rows for a batch of each kind that has a program of its own: of one row, of equal lengths, with padding."""
    first, last = longest[0], longest[-1]
    return [[first], [first] * size, [first] * (size - 1) + [last]]


@dataclass
class RunningSums:
    """The sums of the training between two validations."""

    steps: int = 0
    nats: float = 0.0
    real_tokens: int = 0
    target_tokens: int = 0
    learning_rate: float = 0.0
    train_seconds: float = 0.0
    _start: float = field(default_factory=time.perf_counter)
    _from_tokens: int = 0

    def __post_init__(self) -> None:
        self._from_tokens = self.real_tokens  # of before an interruption

    def values(self) -> dict[str, Any]:
        """What to begin with to go on from here."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}

    def add(self, nats: float, batches: Sequence[Batch]) -> None:
        self.steps += 1
        self.nats += nats
        self.target_tokens += sum(batch.target_tokens for batch in batches)
        self.real_tokens += sum(batch.real_tokens for batch in batches)

    @property
    def loss(self) -> float | None:
        """Nats per scored token so far; None before the first, and where it is not finite."""
        return self.nats / self.target_tokens if self.target_tokens and math.isfinite(self.nats) else None

    def progress(self, epoch: int, epochs: int, done: int, steps: int) -> Progress:
        speed = (self.real_tokens - self._from_tokens) / (time.perf_counter() - self._start)
        return Progress(
            phase="training", done=done, of=steps, epoch=epoch, epochs=epochs, loss=self.loss,
            tokens_per_second=speed,
        )  # fmt: skip

    def as_epoch(self, epoch: float, validation_loss: float | None, evaluation_seconds: float) -> Epoch:
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
class BestEpoch:
    """The weights of the epoch with the lowest validation loss, kept on the CPU; epoch 0 means none yet."""

    epoch: float = 0
    loss: float = math.inf
    weights: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, there: Checkpoint) -> BestEpoch:
        """What was best at a checkpoint; its own weights, unless it has others."""
        if there.best_loss is None:
            return cls()
        weights = there.part("best") or there.part("trained")
        return cls(there.best_epoch, there.best_loss, [weights[str(i)] for i in range(len(weights))])

    def see(self, epoch: float, loss: float, trained: Sequence[nn.Parameter]) -> None:
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.weights = [p.detach().to("cpu", copy=True) for p in trained]

    @torch.no_grad()
    def restore(self, trained: Sequence[nn.Parameter]) -> None:
        for parameter, weight in zip(trained, self.weights, strict=False):  # none where no epoch was completed
            parameter.copy_(weight)


def _make_optimizer(rates: Rates, job: TrainingSpec) -> torch.optim.Optimizer:
    groups = [{"params": parameters, "lr": job.learning_rate * multiple} for multiple, parameters in rates]
    # fused: one pass over memory for each step; it exists for these two kinds of device
    fused = all(p.device.type in {"cpu", "cuda"} for _, parameters in rates for p in parameters)
    return torch.optim.AdamW(groups, lr=job.learning_rate, weight_decay=job.weight_decay, fused=fused)


def _make_schedule(optimizer: Any, options: TrainingOptions, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate's course over all epochs. Any: accelerate's optimizer wraps torch's."""
    from transformers import get_scheduler

    total = steps * options.epochs
    name = "constant_with_warmup" if options.schedule == "constant" else options.schedule
    warmup = math.ceil(options.warmup * total)
    made = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    share = made.lr_lambdas[0]
    # transformers warms up from a rate of zero, which makes the first step none; ours begins at the first notch
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step + 1 if step < warmup else step))
