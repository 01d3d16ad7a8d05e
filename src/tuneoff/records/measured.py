"""What the models of a run cost when they are served, as `tuneoff measure` found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal, Self

from tuneoff.config.base import Options

Form = Literal["adapter", "merged"]


class Spread(Options):
    """A median over repeats, with the smallest and the largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarize the repeats."""
        return cls(median=median(values), low=min(values), high=max(values))


class ServedTimes(Options):
    """The times of one model at one batch size. A ratio is to the base model in the same repeat."""

    label: str
    form: Form  # beside the base model's weights, or in them
    batch: int
    prefill_ms: Spread  # to the first token of all rows
    token_ms: Spread  # of each further token of all rows
    prefill_ratio: Spread
    token_ratio: Spread


class SwapTimes(Options):
    """Going from one LoRA to another in the same weights, and back to the base model.

    `drift` is the largest difference of a weight from the base model's after the swaps, in standard deviations of all
    weights that were changed.
    """

    labels: tuple[str, ...]
    swaps: int
    in_place_ms: Spread  # subtract one, add the other
    restored_ms: Spread  # copy the original back, add the other
    reload_ms: Spread  # load the base model and merge the other
    drift: float
    restored_drift: float


class PromptTimes(Options):
    """What a soft prompt of so many tokens takes from the context and adds to the time, with one row."""

    tokens: int
    context_share: float
    prefill_ratio: Spread
    token_ratio: Spread


class MixedTimes(Options):
    """A request to each of several models of one engine, with the same prompt and greedy decoding.

    Args:
        mixed_ms: for all of them in one batch.
        in_turn_ms: for one after another.
        base_ms: for as many requests to the base model in one batch.
    """

    labels: tuple[str, ...]
    mixed_ms: Spread
    in_turn_ms: Spread
    base_ms: Spread


class Measured(Options):
    """All measurements of a run, on one machine."""

    trials: Mapping[str, str]  # the id of the trial that was measured, by label
    environment: Mapping[str, Any]  # versions and machine
    precision: str  # that the weights are held in
    prompt_tokens: int
    new_tokens: int
    repeats: int
    times: tuple[ServedTimes, ...]
    swap: SwapTimes | None  # None: the run has no two plain LoRA
    mixed: MixedTimes | None  # None: fewer than two models share a batch
    prompts: tuple[PromptTimes, ...]
    base_bytes: int  # the base model's weights
    own_bytes: Mapping[str, int]  # what each method adds to them, or has in their place, by label
