"""Which model is tuned, and at which precision."""

from typing import Literal

from pydantic import Field

from tuneoff.config.base import Options


class ModelOptions(Options):
    """A causal language model."""

    name: str
    """A hub id, a local folder, a GGUF file, or the name of a built-in model."""
    revision: str | None = None
    """A branch, tag or commit of the model on the hub."""
    trust_remote_code: bool = False
    """Run code from the model's repository. Only for a repository that you trust."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Precision of matrix products; auto uses bf16 where the hardware supports it."""
    quantise: Literal["nf4", "int8"] | None = Field(None, exclude_if=lambda quantise: quantise is None)
    """Hold the linear layers inside the blocks in 4 or 8 bits (QLoRA), which methods that train them do not fit; null
    holds them in `precision`. Needs the extra `quantise`."""
    device: Literal["auto", "cpu", "cuda", "xpu", "mps"] = "auto"
    """Where to train; auto uses a GPU if there is one: `cuda` is NVIDIA's or AMD's, `xpu` Intel's, `mps` Apple's."""
