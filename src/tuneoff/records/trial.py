"""A trial is a value, and its record is what became of it.

A trial's id is a hash of the value, so that running a comparison means making the records that are missing.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.config.data import DataOptions
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions

Status = Literal["done", "diverged", "failed"]
Stage = Literal["search", "confirm"]  # a search sees the validation split alone; confirming opens the test split


class Setting(Options):
    """What is equal within a comparison; records of unequal settings are never ranked together."""

    model: ModelOptions
    model_fingerprint: str
    data: DataOptions
    data_fingerprint: str
    training: TrainingOptions
    evaluation: EvaluationOptions
    precision: Literal["bf16", "float32"]  # of the matrix products
    device: str  # the processor's or card's own name: times of two kinds are not comparable
    versions: Mapping[str, str | None]  # of the libraries that decide numbers


class Trial(Options):
    """One method with its hyper-parameters, one setting, one seed, and how far it goes."""

    label: str  # what the recipe calls it: the method's name, unless one method is tried in several ways
    method: str
    hyperparameters: Mapping[str, Any]
    setting: Setting
    seed: int
    stage: Stage = "confirm"
    rungs: tuple[float, ...] = (1.0,)  # shares of the full training to stop at for a validation; it ends at the last
    choose_by: str = "loss"  # the metric that a search compares on validation

    @property
    def before(self) -> Self | None:
        """The same trial one rung lower, whose checkpoint this one goes on from; None on the first rung."""
        return self.model_copy(update={"rungs": self.rungs[:-1]}) if len(self.rungs) > 1 else None

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that only this value has."""
        return id_of(self.model_dump(mode="json"))


def id_of(written: Mapping[str, Any]) -> str:
    """The id of the trial that is written so, also where another version of ours wrote it."""
    canonical = json.dumps(written, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


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
