"""What a probe measures: the costs of each method, as rates, and the amount of work that the rates apply to.

A rate is seconds per batch and per token. Tokens include padding, because a padding token is computed like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tuneoff.config.base import Options

Part = Literal["search", "confirm", "test"]  # a confirmed trial trains in one part and is tested in the other

REPORT_SECONDS = 6.0  # judging a comparison and writing its report: 4 to 7 s on one core, whatever was compared


class Batches(Options):
    """A number of batches, and the tokens in all of them, including padding."""

    count: int
    tokens: int


class Work(Options):
    """The work of one trial, computed from the text and the recipe."""

    epoch: Batches  # here a batch is a step
    validation: Batches
    evaluation: Batches  # the test split, part of train, and unrelated text
    prompts: Batches  # of the test split, to generate from
    validation_prompts: Batches  # to generate from, in a search that compares predictions
    trunk: Batches  # one pass over train and validation, for methods that train the head alone
    new_tokens: int  # at most, per prediction
    benchmarks: Batches = Batches(count=0, tokens=0)  # the texts and prompts of all tasks
    benchmark_new_tokens: int = 0  # at most, summed over the batches of prompts


class Rate(Options):
    """Seconds per batch: a fixed part, and a part for each token."""

    batch_seconds: float = 0.0
    token_seconds: float

    def estimate_seconds(self, work: Batches, share: float = 1.0) -> float:
        """Return the seconds for all batches in `work`, or for a share of them."""
        return share * (work.count * self.batch_seconds + work.tokens * self.token_seconds)


class MethodCosts(Options):
    """What a probe measured for one method."""

    trainable_parameters: int
    load_seconds: float  # load the base model, apply the method, move to the device
    begin_seconds: float  # before the first step: dry run and optimizer; 0 if the method trains nothing
    step: Rate | None  # None: the method trains nothing
    validation: Rate
    evaluation: Rate
    new_token_seconds: float  # for one more token in every prediction of a batch
    save_seconds: float
    trunk: Rate | None = None  # None: every step needs the trunk
    training_bytes: int | None = None  # None: the method trains nothing
    evaluation_bytes: int
    adapter_bytes: int
    checkpoint_bytes: int
    trunk_bytes: int = 0
    work: Work | None = None  # of a method with its own prompts, such as longer ones; None: the probe's

    def get_memory_bytes(self, part: Part) -> int:
        """Return the peak memory of a part. A search that compares predictions may need as much as a test."""
        return self.evaluation_bytes if part == "test" or self.training_bytes is None else self.training_bytes


class Probe(Options):
    """The result of a short measurement run on one machine: the work of a trial, and the costs by method label."""

    setting: str | None = None  # its fingerprint; None: of an older version
    work: Work
    costs: Mapping[str, MethodCosts]
    refused: Mapping[str, str] = Field(default_factory=dict)  # labels that could not be measured, with the reason
    preparation_seconds: float  # find the model and read the text
    inference_seconds: float  # measure the inference of one trial, for any method
    probe_seconds: float  # the probe itself

    def get_work(self, label: str) -> Work:
        """Return the work of one trial of a method."""
        own = self.costs[label].work if label in self.costs else None
        return own or self.work

    @property
    def shared_seconds(self) -> float:
        """The seconds that belong to no method: reading text and model, and writing the report."""
        return self.preparation_seconds + REPORT_SECONDS
