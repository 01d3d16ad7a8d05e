"""A trial is a value, and its record is what became of it.

A trial's id is a hash of the value, so that running a comparison means making the records that are missing.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from tuneoff.config.base import Options
from tuneoff.config.data import DataOptions
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions

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
        return compute_id(self.model_dump(mode="json"))


def compute_id(written: Mapping[str, Any]) -> str:
    """The id of the trial that is written so, also where another version of ours wrote it."""
    canonical = json.dumps(written, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
