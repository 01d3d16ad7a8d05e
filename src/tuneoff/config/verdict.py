"""Which differences count, and how to choose between methods that tie."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from tuneoff.config.base import Options


class PriorOptions(Options):
    """What you know about the noise before anything is measured, as standard deviations in the metric's unit."""

    seed_sd: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Of a method's score between runs with different seeds; null takes a value measured on the recipe `fair`."""
    example_sd: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Over test examples, of the difference between two methods' scores; null takes a value measured on `fair`."""


class VerdictOptions(Options):
    """How differences are judged. These options change no record: a report can be written again with other values."""

    metric: str | None = None  # a name in the recipe's table of metrics, which `Recipe` checks
    """The primary metric, by which methods are ranked and the verdict is decided. The other metrics describe. Null
    takes that of the task, or the first one in `metrics`."""
    cheaper_by: Literal["token_ms", "training_memory", "train_seconds", "adapter_bytes"] = "train_seconds"
    """The cost that decides between methods that tie. If it is the same, trainable parameters, operations per token and
    file size decide."""
    margin_rouge: float = Field(0.5, ge=0, allow_inf_nan=False)
    """The smallest difference in ROUGE (F1 × 100) that matters in practice."""
    margin_loss: float = Field(0.01, ge=0, allow_inf_nan=False)
    """The smallest difference in loss, in nats per target token, that matters in practice."""
    margins: Mapping[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """The smallest difference that matters by metric, in the metric's unit, such as `{exact: 2}`; a metric that is not
    named keeps its own."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """The confidence level of the intervals."""
    prior: PriorOptions | None = None
    """The noise that `tuneoff plan` assumes where no stored run shows it; null takes what was measured on `fair`."""
