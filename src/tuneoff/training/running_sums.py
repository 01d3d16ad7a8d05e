"""The sums from which one row of the learning curve is computed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tuneoff.data.batches import Batch
from tuneoff.records.record import Epoch, TrainingPart
from tuneoff.runtime.progress import Progress


@dataclass
class RunningSums:
    """Sums over the steps since the last validation.

    Args:
        part_steps: steps in one part of the curve of the training loss.
        parts: the steps, the nats and the target tokens of each part, in order.
    """

    part_steps: int = 1
    steps: int = 0
    nats: float = 0.0
    real_tokens: int = 0
    target_tokens: int = 0
    learning_rate: float = 0.0
    train_seconds: float = 0.0
    parts: list[list[float]] = field(default_factory=list)
    _start: float = field(default_factory=time.perf_counter)
    _restored_tokens: int = 0

    def __post_init__(self) -> None:
        self._restored_tokens = self.real_tokens  # from a checkpoint: not part of this process's speed

    def to_dict(self) -> dict[str, Any]:
        """Return the constructor arguments that restore these sums."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}

    def add(self, nats: float, batches: Sequence[Batch]) -> None:
        """Count one step."""
        self.steps += 1
        self.nats += nats
        target_tokens = sum(batch.target_tokens for batch in batches)
        self.target_tokens += target_tokens
        self._add_to_part(nats, target_tokens)
        self.real_tokens += sum(batch.real_tokens for batch in batches)

    def _add_to_part(self, nats: float, target_tokens: int) -> None:
        if not self.parts or self.parts[-1][0] >= self.part_steps:
            self.parts.append([0, 0.0, 0])
        part = self.parts[-1]
        part[:] = [part[0] + 1, part[1] + nats, part[2] + target_tokens]

    @property
    def loss(self) -> float | None:
        """Nats per target token so far; None before the first, and where the sum is not finite."""
        return _compute_mean(self.nats, self.target_tokens)

    def to_progress(self, epoch: int, epochs: int, step: int, steps_per_epoch: int) -> Progress:
        """Return the progress event of a step."""
        speed = (self.real_tokens - self._restored_tokens) / (time.perf_counter() - self._start)
        return Progress(
            phase="training", done=step, of=steps_per_epoch, epoch=epoch, epochs=epochs, loss=self.loss,
            tokens_per_second=speed,
        )  # fmt: skip

    def to_epoch(self, epoch: float, validation_loss: float | None, evaluation_seconds: float) -> Epoch:
        """Return the row of the learning curve that ends after `epoch` epochs."""
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
            parts=tuple(
                TrainingPart(steps=int(steps), train_loss=_compute_mean(nats, tokens))
                for steps, nats, tokens in self.parts
            ),
        )


def _compute_mean(nats: float, tokens: float) -> float | None:
    return nats / tokens if tokens and math.isfinite(nats) else None
