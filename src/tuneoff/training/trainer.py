"""A model prepared for training, and its training steps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor

from tuneoff.data import count_tokens
from tuneoff.data.batches import Batch, collate, make_epoch_batches, share_out
from tuneoff.evaluation.loss import compute_token_losses
from tuneoff.models.compilation import compile_blocks
from tuneoff.models.frozen_prefix import TrunkOutputs
from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing, uses_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.prefix_cache import has_prefix_in_cache
from tuneoff.optimizers import ParameterGroups, build_groups
from tuneoff.records.record import Epoch
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.meter import MMAP_THRESHOLD, keep_freed_memory
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress
from tuneoff.training.checkpoint import CheckpointWriter
from tuneoff.training.devices import Devices
from tuneoff.training.gradients import accumulate_gradients
from tuneoff.training.passes import Passes
from tuneoff.training.replicas import Replicas
from tuneoff.training.running_sums import RunningSums
from tuneoff.training.schedule import Schedule
from tuneoff.training.shards import Shards
from tuneoff.training.spec import TrainingSpec

CURVE_PARTS = 100  # of a training, each a point of the curve of its loss
CPU = torch.device("cpu")


@final
class Trainer:
    """A model prepared by accelerate, with its optimizer and the number of completed steps.

    Args:
        groups: the trainable parameters.
        trunk: the precomputed outputs of the frozen part for the train split.
        start_seconds: of training, before the first step.
    """

    def __init__(
        self,
        model: LanguageModel,
        groups: ParameterGroups,
        spec: TrainingSpec,
        context: TrialContext,
        trunk: TrunkOutputs | None = None,
        start_seconds: float = 0.0,
    ) -> None:
        self.spec, self.context, self.language_model = spec, context, model
        self.parameters = [p for _, parameters in groups for p in parameters]
        self.lengths = count_tokens(spec.text.train)
        self.steps_per_epoch = math.ceil(len(self.lengths) / spec.options.effective_batch_size)
        self.completed_steps = 0
        # The trunk costs its seconds to every training that uses it, even if another one computed it.
        self._part_steps = math.ceil(self.steps_per_epoch * spec.options.epochs / CURVE_PARTS)
        start_seconds += trunk.seconds if trunk else 0.0
        self.sums = RunningSums(part_steps=self._part_steps, train_seconds=start_seconds)
        self._trunk, self._pad = trunk, model.tokenizer.pad_token_id
        self.state_bytes = spec.optimizer.count_state_bytes(model)
        optimizer = spec.optimizer.create(model, build_groups(groups, spec.learning_rate, spec.weight_decay))
        self._rates: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.model, self.optimizer = context.accelerator.prepare(model, optimizer)
        passes = Passes(context.followers, model, self.parameters)
        self.devices: Devices = (
            Shards(passes, self.parameters, self.optimizer)
            if context.followers.in_step
            else Replicas(passes, self.parameters, self.optimizer, context.accelerator)
        )
        self._schedule = Schedule(
            kind=spec.options.schedule,
            warmup=spec.options.warmup,
            total_steps=self.steps_per_epoch * spec.options.epochs,
        )
        largest_bytes = max(p.numel() * p.element_size() for p in self.parameters)
        self._keep_memory = keep_freed_memory if largest_bytes > MMAP_THRESHOLD else contextlib.nullcontext
        self.compile_blocks = partial(compile_blocks, model) if spec.options.compile else contextlib.nullcontext
        checkpointing = spec.options.gradient_checkpointing
        if checkpointing == "always":
            set_gradient_checkpointing(model.base, True)
        may_checkpoint = checkpointing == "auto" and not has_prefix_in_cache(model.base)
        last_resort = partial(set_gradient_checkpointing, model.base, True) if may_checkpoint else None
        self.micro_batch = MicroBatch(spec.options.batch_size, last_resort=last_resort)

    @property
    def completed_epochs(self) -> float:
        """How many epochs are completed; a fraction in the middle of one."""
        return self.completed_steps / self.steps_per_epoch

    @property
    def remaining_stops(self) -> list[int]:
        """The steps after which a validation is still to come."""
        last_validated = self.completed_steps - self.sums.steps
        return [stop for stop in _list_stops(self.spec, self.steps_per_epoch) if stop > last_validated]

    def train_until(self, stop: int, checkpoint_writer: CheckpointWriter | None = None) -> str | None:
        """Take the steps up to `stop`, which are all of one epoch; return early when a checkpoint is due.

        Returns:
            Why the training diverged, or None.
        """
        seconds_before = self.context.meter.get_seconds("training")
        epoch = self.completed_steps // self.steps_per_epoch + 1
        self.context.on_progress(Progress(phase="training", epoch=epoch, epochs=self.spec.options.epochs))
        try:
            with self.measure("training"), self._keep_memory(), self.compile_blocks():
                return self._train_until(stop, checkpoint_writer.is_due if checkpoint_writer else lambda: False)
        finally:
            self.sums.train_seconds += self.context.meter.get_seconds("training") - seconds_before

    def _train_until(self, stop: int, is_due: Callable[[], bool]) -> str | None:
        options, sums = self.spec.options, self.sums
        self.model.train()
        epoch, steps_before = divmod(self.completed_steps, self.steps_per_epoch)
        batches = make_epoch_batches(self.lengths, options.effective_batch_size, self.spec.seed, epoch + 1)
        remaining = batches[steps_before : steps_before + stop - self.completed_steps]
        for step, rows in enumerate(remaining, start=steps_before + 1):
            sums.learning_rate = self._set_learning_rate()
            nats, norm = self._take_step(rows)
            self.completed_steps += 1
            for name, value in (("training loss", nats), ("norm of the gradients", norm)):
                if not math.isfinite(value):
                    return f"the {name} was {value} in step {step} of epoch {epoch + 1}"
            self.context.on_progress(sums.to_progress(epoch + 1, options.epochs, step, self.steps_per_epoch))
            if is_due():
                break
        return None

    def finish_epoch(self, validation_loss: float | None, evaluation_seconds: float) -> Epoch:
        """Return the row of the learning curve for the steps since the last validation, and start new sums."""
        row = self.sums.to_epoch(self.completed_epochs, validation_loss, evaluation_seconds)
        self.sums = RunningSums(part_steps=self._part_steps)
        return row

    @contextlib.contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Count the seconds of the block, and the memory that it needs on all devices."""
        with self.devices.passes.measuring(phase) as read_others, self.context.meter.phase(phase, read_others):
            yield

    def make_batch(self, rows: Sequence[int], device: torch.device | None = None) -> Batch:
        """Return rows of the train split as tensors on a device, by default the first one."""
        return collate(
            self.spec.text.train, rows, self._pad, self.spec.loss_on, device or self.context.device, self._trunk
        )

    def _set_learning_rate(self) -> float:
        """Set the learning rate of the next step in every parameter group, and return that of the first."""
        factor = self._schedule.compute_factor(self.completed_steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        return self._rates[0] * factor

    def compute_nats(self, batch: Batch) -> Tensor:
        """Return the loss in nats, summed over the batch's target tokens."""
        return compute_token_losses(self.model, batch).sum()

    def release(self) -> None:
        """Free the gradients and the optimizer's state, and return the model to its state before accelerate."""
        self.optimizer.zero_grad()
        if uses_gradient_checkpointing(self.language_model.base):
            set_gradient_checkpointing(self.language_model.base, False)
        model = self.context.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        model._is_accelerate_prepared = False  # otherwise accelerate would not prepare it a second time
        self.context.accelerator.free_memory()

    def _take_step(self, rows: Sequence[int]) -> tuple[float, float]:
        """Update the weights once, from one effective batch, unless its loss or its gradient norm is not finite.

        Returns:
            The summed loss in nats, and the gradient norm before clipping.
        """
        nats, batches = self.micro_batch.run_until_it_fits(
            partial(self._accumulate_gradients, rows), undo=self.optimizer.zero_grad
        )
        self.sums.add(nats, batches)
        norm = 0.0
        if math.isfinite(nats):
            norm = self.devices.clip(self.spec.options.clip_norm)
        if math.isfinite(nats) and math.isfinite(norm):
            self.devices.step()
        self.optimizer.zero_grad()
        return nats, norm

    def _accumulate_gradients(self, rows: Sequence[int], size: int) -> tuple[float, list[Batch]]:
        """Compute the gradients of the mean loss over the effective batch, in micro-batches of at most `size` examples.

        Returns:
            The summed loss in nats, and the micro-batches of all devices.
        """
        own, *others = share_out(rows, self.lengths, size, self.devices.passes.devices)
        batches = [self.make_batch(part) for part in own]
        shares = [[self.make_batch(part, CPU) for part in parts] for parts in others]
        nats = self.accumulate_everywhere(batches, shares)
        return nats, [*batches, *(batch for share in shares for batch in share)]

    def accumulate_everywhere(self, batches: Sequence[Batch], shares: Sequence[Sequence[Batch]]) -> float:
        """Compute the gradients of the mean loss over some micro-batches, each device those of its own.

        Args:
            batches: of the first device.
            shares: of each other device, on the CPU.

        Returns:
            The summed loss in nats, over all of them.
        """
        target_tokens = sum(batch.target_tokens for part in (batches, *shares) for batch in part)
        seed = (self.spec.seed, self.completed_steps)
        passes, accelerator = self.devices.passes, self.context.accelerator
        with passes.accumulating(shares, target_tokens, seed, batches[0], len(batches)) as receive:
            nats = accumulate_gradients(
                batches, target_tokens, self.compute_nats, accelerator.backward, in_step=passes.followers.in_step
            )
            return nats + sum(receive())


def _list_stops(spec: TrainingSpec, steps_per_epoch: int) -> list[int]:
    """Return the steps after which to validate, in order: the ends of epochs and the rungs, up to the last rung."""
    total_steps = steps_per_epoch * spec.options.epochs
    rungs = {math.ceil(fraction * total_steps) for fraction in spec.rungs}
    epochs = set(range(steps_per_epoch, total_steps + 1, steps_per_epoch))
    return [stop for stop in sorted(rungs | epochs) if stop <= max(rungs)]
