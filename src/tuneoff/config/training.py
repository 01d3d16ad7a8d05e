"""How every method of a comparison is trained; what differs between methods is in the method."""

from typing import Literal

from pydantic import ByteSize, Field

from tuneoff.config.base import Options


class TrainingOptions(Options):
    """Equal for all methods. AdamW's learning rate and weight decay belong to each method."""

    epochs: int = Field(3, ge=1)
    batch_size: int = Field(4, ge=1)  # examples in one forward pass; fewer where they do not fit into memory
    accumulation: int = Field(1, ge=1)  # forward passes per step
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = Field(0.1, ge=0, lt=1)  # share of the steps, linear from zero
    clip_norm: float | None = Field(1.0, gt=0)
    gradient_checkpointing: Literal["auto", "never", "always"] = "auto"  # auto: where one example does not fit without
    memory_limit: ByteSize | None = None  # on a CPU, as 8GiB; None: the container's or the machine's
    compile: bool = False  # blocks by PyTorch's compiler: faster steps, after a minute or two for each method
    patience: int | None = Field(None, ge=1)  # epochs without a better validation loss; None trains them all

    @property
    def effective_batch_size(self) -> int:
        """Examples per step."""
        return self.batch_size * self.accumulation
