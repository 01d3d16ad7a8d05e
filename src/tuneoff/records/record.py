"""The result of a trial: its training curve, scores, costs and predictions."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from tuneoff.config.base import Options
from tuneoff.records.trial import Trial

ELSEWHERE = "elsewhere"  # the fact of a record that was made on another machine than its setting says: what differs
Status = Literal["done", "diverged", "failed"]


class TrainingPart(Options):
    """Some steps of a training, in the order of the steps, and the mean loss over them."""

    steps: int
    train_loss: float | None  # nats per scored token; None where it was not finite


class Epoch(Options):
    """One row of the training curve: the steps since the previous validation, and a validation. Row 0 has no steps."""

    epoch: float  # a fraction if a rung of a search ends within an epoch
    steps: int
    train_loss: float | None  # nats per scored token, measured while training; None in row 0
    validation_loss: float | None  # None if training diverged in this epoch
    learning_rate: float  # of the last step
    train_seconds: float  # training steps only
    evaluation_seconds: float
    real_tokens: int  # without padding
    target_tokens: int
    # the same steps in parts, for the curve of the training loss; empty in row 0 and in records of older versions
    parts: tuple[TrainingPart, ...] = Field((), exclude_if=lambda parts: not parts)


class Memory(Options):
    """The peak memory of one phase in bytes.

    On a CPU this is the resident memory of the process, libraries included, or of all processes of a trial on several
    devices together. On a GPU it is the memory that PyTorch allocated and reserved, on the GPU that needs most.
    """

    resident_bytes: int | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    reset: bool = True  # False if the system cannot reset its peak, which may then be that of an earlier phase

    @property
    def peak_bytes(self) -> int | None:
        """The peak to compare by: allocated memory on a GPU, resident memory on a CPU."""
        return self.resident_bytes if self.allocated_bytes is None else self.allocated_bytes


class Latency(Options):
    """One repeat of the latency measurement, in milliseconds."""

    prefill_ms: float
    token_ms: float
    base_prefill_ms: float
    base_token_ms: float


class Inference(Options):
    """The latency of one prompt in milliseconds, and that of the base model, measured in turns in the same process."""

    prompt_tokens: int
    prefill_ms: float  # this and the next three are medians over the repeats
    token_ms: float
    base_prefill_ms: float
    base_token_ms: float
    repeats: tuple[Latency, ...] = ()  # empty in records of older versions
    same_as_base: bool | None = None  # the base model's network with other weights; None: not recorded
    token_flops: int | None = None  # operations for one generated token; None: not recorded


class Costs(Options):
    """What a trial cost. A value is `None` if it does not apply or was not measured."""

    trainable_parameters: int  # a shared tensor counts once
    total_parameters: int
    train_seconds: float  # training steps only, over all epochs
    mean_epoch_seconds: float | None
    slowest_epoch_seconds: float | None
    evaluation_seconds: float  # validation during training, then the loss on validation and test
    generation_seconds: float
    real_tokens_per_second: float | None
    target_tokens_per_second: float | None
    training_memory: Memory | None
    evaluation_memory: Memory | None
    context_tokens: int = 0  # positions that the method takes from the context window
    adapter_bytes: int | None
    inference: Inference | None
    # most trials that ran on the same machine at the same time, so that times say little; 0 alone
    beside: int = Field(0, exclude_if=lambda beside: not beside)
    # that trained together, each for all of `train_seconds`; the record of a method that trains nothing has one
    devices: int = Field(1, exclude_if=lambda devices: devices == 1)

    @property
    def device_seconds(self) -> float:
        """The seconds of all devices in training: what is paid for."""
        return self.train_seconds * self.devices


class Prediction(Options):
    """The prediction for one test example, and its scores."""

    row: int
    group: str | None = Field(None, exclude_if=lambda group: group is None)  # of examples that belong together
    source: str
    reference: str  # the text that the loss scores
    # every accepted answer; empty: the reference alone
    references: tuple[str, ...] = Field((), exclude_if=lambda references: not references)
    prediction: str | None  # None: no metric of the comparison needs text, so none was generated
    samples: tuple[str, ...] = Field((), exclude_if=lambda samples: not samples)  # of several texts, all of them
    loss: float  # nats, summed over the target tokens of the example
    target_tokens: int
    scores: Mapping[str, float] = Field(
        default_factory=dict
    )  # by metric, before its scale, the mean over samples; without the loss
    # by metric, what the example counts where that is not 1
    weights: Mapping[str, float] = Field(default_factory=dict, exclude_if=lambda weights: not weights)

    @model_validator(mode="before")
    @classmethod
    def _read_rouge_as_scores(cls, values: Any) -> Any:  # Any: whatever a file holds
        """Read `rouge`, the name of the scores before there were other metrics of the text."""
        if isinstance(values, Mapping) and "rouge" in values:
            return {name: value for name, value in values.items() if name != "rouge"} | {"scores": values["rouge"]}
        return values

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every accepted answer."""
        return self.references or (self.reference,)


class BenchmarkScore(Options):
    """The scores of one example of a benchmark. The example is the same for all models."""

    task: str
    row: int
    scores: Mapping[str, float]  # by metric, with the filter of answers if the task has several: "acc", "f1,strict"
    prediction: str | None = None  # of a task whose answers are generated


class Record(Options):
    """The result of a trial. The curve and the predictions are stored in files of their own."""

    trial: Trial
    status: Status
    reason: str | None = None  # why the trial failed or diverged
    best_epoch: float | None = None  # the epoch with the lowest validation loss, whose weights were kept
    stopped_early: bool = False
    # by "split/metric", such as "test/loss"; the splits are train (a part of it), validation, test and unrelated text
    scores: Mapping[str, float] = Field(default_factory=dict)
    costs: Costs | None = None
    facts: Mapping[str, Any] = Field(default_factory=dict)  # for the diagnoses of a report: "tied", "split_head", ...
    curve: tuple[Epoch, ...] = Field(default=(), exclude=True)
    predictions: tuple[Prediction, ...] = Field(default=(), exclude=True)
    benchmarks: tuple[BenchmarkScore, ...] = Field(default=(), exclude=True)  # in a file of their own too, if any
