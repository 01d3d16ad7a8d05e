"""What a probe measures: the costs of each method, and the work that they are multiplied by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tuneoff.config.base import Options

if TYPE_CHECKING:
    pass


Part = Literal["search", "confirm", "test"]  # a confirmed trial is trained in one part and tested in the other


PAGE_SECONDS = 6.0  # judging and drawing a report: 4 to 7 s on one core, whatever was compared


class Batches(Options):
    """How many batches there are, and how many tokens in all of them, padding counted."""

    count: int
    tokens: int


class Work(Options):
    """What one trial goes through, whatever its method: known from the text and the recipe alone."""

    epoch: Batches  # a batch is a step here
    validation: Batches
    evaluation: Batches  # the test split, a part of train, unrelated text
    prompts: Batches  # to generate from, of the test split
    validation_prompts: Batches  # to generate from in a search that compares predictions
    trunk: Batches  # train and validation, once, where the head is trained alone
    new_tokens: int  # of each prediction, at most


class Rate(Options):
    """Seconds of a batch: a fixed part and one for each of its tokens."""

    batch_seconds: float = 0.0
    token_seconds: float

    def estimate_seconds(self, work: Batches, share: float = 1.0) -> float:
        """Of all those batches, or of a share of them."""
        return share * (work.count * self.batch_seconds + work.tokens * self.token_seconds)


class MethodCosts(Options):
    """What a probe measured of one method."""

    trainable_parameters: int
    load_seconds: float  # the base model, the method applied to it, moved to the device
    begin_seconds: float  # before the first step: rehearsal, optimizer; nothing where nothing is trained
    step: Rate | None  # None: nothing is trained
    validation: Rate
    evaluation: Rate
    new_token_seconds: float  # each further token of a whole batch of predictions
    save_seconds: float
    trunk: Rate | None = None  # None: what is trained needs the trunk in every step
    training_bytes: int | None = None  # None: nothing is trained
    evaluation_bytes: int
    adapter_bytes: int
    checkpoint_bytes: int
    trunk_bytes: int = 0

    def get_memory_bytes(self, part: Part) -> int:
        """The most that is held in a part; a search that compares predictions goes beyond it where testing would."""
        return self.evaluation_bytes if part == "test" or self.training_bytes is None else self.training_bytes


class Probe(Options):
    """What a short calibration on one machine found: costs by label, and the work that they are multiplied by."""

    work: Work
    costs: Mapping[str, MethodCosts]
    refused: Mapping[str, str] = Field(default_factory=dict)  # labels that could not be measured, with the reason
    preparation_seconds: float  # finding the model, reading the text
    inference_seconds: float  # what measuring inference takes, of any method
    probe_seconds: float  # what the probe itself took

    @property
    def shared_seconds(self) -> float:
        """What belongs to no method: reading text and model, drawing the page."""
        return self.preparation_seconds + PAGE_SECONDS
