"""What counts as a difference, and what decides between methods that do not differ."""

from typing import Literal

from pydantic import Field

from tuneoff.config.base import Options


class VerdictOptions(Options):
    """Changing these changes no record: a report can be made again under others."""

    cheaper_by: Literal["token_ms", "training_memory", "train_seconds", "adapter_bytes"] = "train_seconds"  # in a tie
    margin_rouge: float = Field(0.5, ge=0)  # F1 × 100; a smaller difference does not matter in practice
    margin_loss: float = Field(0.01, ge=0)  # nats per target token
    confidence: float = Field(0.95, gt=0.5, lt=1)
