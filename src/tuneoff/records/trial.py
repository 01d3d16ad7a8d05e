"""A trial is a value: one method with its hyperparameters, one setting and one seed.

Its id is a hash of that value. So a record can be found for a trial of any plan, and running a comparison means making
the records that are missing.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from tuneoff.config.base import Options
from tuneoff.config.data import DataOptions
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions

Stage = Literal["search", "confirm"]  # a search uses the validation split; only confirming uses the test split


class Setting(Options):
    """Everything that is equal within a comparison. Records of different settings are never ranked together."""

    model: ModelOptions
    model_fingerprint: str
    data: DataOptions
    data_fingerprint: str
    training: TrainingOptions
    evaluation: EvaluationOptions
    precision: Literal["bf16", "float32"]  # of the matrix products
    device: str  # the name of the CPU or GPU: times on different ones are not comparable
    # the instruction sets of the kernels on a CPU; None: on a GPU, or in a record of version 0.1
    kernels: str | None = Field(None, exclude_if=lambda kernels: kernels is None)
    versions: Mapping[str, str | None]  # of the libraries that decide the numbers
    # by task, a fingerprint of what it asks; None: the recipe has no benchmarks
    benchmarks: Mapping[str, str] | None = Field(None, exclude_if=lambda benchmarks: benchmarks is None)

    @property
    def fingerprint(self) -> str:
        """The same for equal settings only."""
        return compute_id(self.model_dump(mode="json"))


class Trial(Options):
    """One method with its hyperparameters, one setting, one seed, and how much of the training it runs."""

    label: str  # its name in the recipe: the method's name, unless the recipe has several variants of a method
    method: str
    hyperparameters: Mapping[str, Any]
    setting: Setting
    seed: int
    stage: Stage = "confirm"
    rungs: tuple[float, ...] = (1.0,)  # shares of the full training at which to validate; training ends at the last
    choose_by: str = "loss"  # the metric on validation by which a search compares
    train_sample: str | None = None  # the fingerprint of a replicate's own sample; None: the train split

    @model_serializer(mode="wrap")
    def _leave_out_train_split(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a trial on the train split without `train_sample`, so that its id is that of earlier versions."""
        values: dict[str, Any] = serialize(self)
        return {name: value for name, value in values.items() if name != "train_sample" or value is not None}

    @property
    def before(self) -> Self | None:
        """The same trial one rung lower, from whose checkpoint this one resumes. None on the first rung."""
        return self.model_copy(update={"rungs": self.rungs[:-1]}) if len(self.rungs) > 1 else None

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that identify the value."""
        return compute_id(self.model_dump(mode="json"))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the trial, without its id, which changes with the fields."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("id", None)
        return copy


def compute_id(value: Mapping[str, Any]) -> str:
    """Return the id of a trial or setting from its JSON value, which another version of tuneoff may have written."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
