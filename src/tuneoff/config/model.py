"""Which model is tuned, and how its numbers are held."""

from typing import Literal

from tuneoff.config.base import Options


class ModelOptions(Options):
    """A causal language model: a hub id, a local folder, a GGUF file, or a built-in name."""

    name: str
    revision: str | None = None
    trust_remote_code: bool = False
    precision: Literal["auto", "bf16", "float32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
