"""What became of a trial: its curve, scores, costs and answers."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.records.trial import Trial

Status = Literal["done", "diverged", "failed"]


class Epoch(Options):
    """One row of a trial's curve, a validation and the steps since the one before; row 0 has none yet."""

    epoch: float  # whole, but where a rung ends within one
    steps: int
    train_loss: float | None  # nats per scored token, as it was while training; None in row 0
    validation_loss: float | None  # None where the epoch broke off
    learning_rate: float  # of the last step
    train_seconds: float  # training steps alone
    evaluation_seconds: float
    real_tokens: int  # no padding
    target_tokens: int


class Memory(Options):
    """The most bytes held in one phase; which columns are filled says what was measured.

    Resident is the process's own peak on a CPU, libraries included; allocated and reserved are a card's.
    """

    resident_bytes: int | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    reset: bool = True  # False: the system cannot restart its high-water mark, so an earlier phase may show

    @property
    def peak_bytes(self) -> int | None:
        """The one to compare by: allocated on a card, resident on a CPU."""
        return self.resident_bytes if self.allocated_bytes is None else self.allocated_bytes


class Inference(Options):
    """Milliseconds of one prompt as served, and of the untouched model in the same process, alternating."""

    prompt_tokens: int
    prefill_ms: float
    token_ms: float
    base_prefill_ms: float
    base_token_ms: float


class Costs(Options):
    """What a trial cost; `None` where it does not apply or was not reached."""

    trainable_parameters: int  # a shared tensor counts once
    total_parameters: int
    train_seconds: float  # the sum over epochs of training steps alone
    mean_epoch_seconds: float | None
    slowest_epoch_seconds: float | None
    evaluation_seconds: float  # validation in training, then loss over validation and test
    generation_seconds: float
    real_tokens_per_second: float | None
    target_tokens_per_second: float | None
    training_memory: Memory | None
    evaluation_memory: Memory | None
    context_tokens: int = 0  # positions that the method takes away from the text
    adapter_bytes: int | None
    inference: Inference | None


class Prediction(Options):
    """One test example as one trial answered it."""

    row: int
    source: str
    reference: str
    prediction: str
    loss: float  # nats, summed over the example's scored tokens
    target_tokens: int
    rouge: Mapping[str, float]  # F1 in [0, 1], by "rouge1", "rouge2", "rougeL", "rougeLsum"


class Record(Options):
    """What became of a trial. The curve and the predictions stand in files of their own beside it."""

    trial: Trial
    status: Status
    reason: str | None = None  # of a failure or a divergence, in words
    best_epoch: float | None = None  # whose weights were kept: the lowest validation loss
    stopped_early: bool = False
    # by "split/metric", as "test/loss"; the splits are train (a part of it), validation, test, and unrelated text
    scores: Mapping[str, float] = Field(default_factory=dict)
    costs: Costs | None = None
    facts: Mapping[str, Any] = Field(default_factory=dict)  # what diagnoses read: "tied", "split_head", ...
    curve: tuple[Epoch, ...] = Field(default=(), exclude=True)
    predictions: tuple[Prediction, ...] = Field(default=(), exclude=True)
