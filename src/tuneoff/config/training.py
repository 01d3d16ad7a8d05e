"""How every method of a comparison is trained. What differs between methods is in the method."""

from typing import Literal, Self

from pydantic import ByteSize, Field, field_validator, model_validator

from tuneoff.config.base import Options
from tuneoff.config.limits import MOST_DEVICES, MOST_EPOCHS


class TrainingOptions(Options):
    """Equal for all methods. The optimizer, its learning rate and its weight decay belong to each method."""

    epochs: int = Field(3, ge=1, le=MOST_EPOCHS)
    """Passes over the train split."""
    batch_size: int = Field(4, ge=1)
    """Examples in one forward pass. If they do not fit into memory, fewer, with the same effective batch size."""
    accumulation: int = Field(1, ge=1)
    """Forward passes per step: the effective batch size is `batch_size` times this."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """The learning rate after warm-up: constant, or falling to zero."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises linearly from zero."""
    clip_norm: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient; null does not clip."""
    gradient_checkpointing: Literal["auto", "never", "always"] = "auto"
    """Recompute activations to save memory; auto does so only if one example does not fit into memory otherwise."""
    memory_limit: ByteSize | None = None
    """Memory for training on a CPU, such as 8GiB; null uses the limit of the container or the machine."""
    compile: bool = False
    """Compile the blocks with PyTorch: faster steps, after a minute or two of compilation for each method."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without a better validation loss; null trains all epochs."""
    devices: int = Field(1, ge=1, le=MOST_DEVICES, exclude_if=lambda devices: devices == 1)
    """GPUs of one machine that train one trial together, each with its share of every step; on a CPU, processes.
    Records of trials on different numbers of devices are not ranked together."""
    shard: bool = Field(False, exclude_if=lambda shard: not shard)
    """Divide weights, gradients and the optimizer's state among the devices (FSDP2), for a training that does not fit
    onto one. The trained model has to fit onto one to be evaluated."""

    @field_validator("memory_limit")
    @classmethod
    def _require_memory(cls, limit: ByteSize | None) -> ByteSize | None:
        if limit is not None and limit <= 0:
            raise ValueError("no training fits into no memory: write a size such as 8GiB, or null for the machine's")
        return limit

    @model_validator(mode="after")
    def _require_work_for_devices(self) -> Self:
        if self.devices > self.effective_batch_size:
            raise ValueError(
                f"devices is {self.devices}, but a step has {self.effective_batch_size} examples (batch_size times "
                f"accumulation), so that some devices would have none: write devices: {self.effective_batch_size} or "
                "fewer, or a larger batch_size"
            )
        if self.devices > 1 and self.compile:
            raise ValueError("compile is for one device: remove compile or devices")
        if self.shard and self.devices == 1:
            raise ValueError("shard divides a model among devices, and there is one: write devices: 2 or more as well")
        return self

    @property
    def effective_batch_size(self) -> int:
        """Examples per step."""
        return self.batch_size * self.accumulation
