"""The bill: what a comparison will cost, from what a probe measured and how much of it the plan has. Pure.

A probe's costs are rates: seconds for a batch and for a token of it, padding counted, since a pad is computed like any
other token. The plan knows its batches to the last one, so that a prediction is one multiplied by the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.plan import Stage, plan_stages

if TYPE_CHECKING:
    pass

Part = Literal["search", "confirm", "test"]  # a confirmed trial is trained in one part and tested in the other

PAGE_SECONDS = 6.0  # judging and drawing a report: 4 to 7 s on one core, whatever was compared
PAGE_BYTES = 4_000_000  # a page and its figures as files: 2 to 4 MB


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

    def seconds(self, work: Batches, share: float = 1.0) -> float:
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

    def memory_bytes(self, part: Part) -> int:
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
    def apart_seconds(self) -> float:
        """What belongs to no method: reading text and model, drawing the page."""
        return self.preparation_seconds + PAGE_SECONDS


@dataclass(frozen=True, kw_only=True)
class CostEntry:
    """One method in one part of the comparison."""

    label: str
    part: Part
    rung: float  # the share of the full training that its trainings go to
    trainings: int
    seconds: float  # of all of them
    memory_bytes: int  # of one; they run one after the other


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a comparison will cost if no training diverges or is stopped early."""

    entries: tuple[CostEntry, ...]
    apart_seconds: float  # of no method
    disk: Mapping[str, int]  # the most bytes that will be there at once, by what they are

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.apart_seconds + sum(entry.seconds for entry in self.entries)

    @property
    def memory_bytes(self) -> int:
        """The most that is ever held."""
        return max((entry.memory_bytes for entry in self.entries), default=0)

    @property
    def disk_bytes(self) -> int:
        """The most that is ever kept."""
        return sum(self.disk.values())


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What there is of everything; None where nobody set a limit."""

    memory_bytes: int
    disk_bytes: int
    seconds: float | None = None


def estimate_cost(recipe: Recipe, data: DataSummary, probe: Probe) -> CostEstimate:
    """The whole comparison, method by method and part by part."""
    return CostEstimate(
        entries=tuple(_build_entries(recipe, data, probe)),
        apart_seconds=probe.apart_seconds,
        disk=_estimate_disk(recipe, probe),
    )


def estimate_trial_seconds(trial: Trial, recipe: Recipe, probe: Probe) -> dict[Part, float]:
    """One trial's seconds by part; the trunk, which is paid once by whoever comes first, is not in them. Nothing for a
    method that could not be measured."""
    if trial.label not in probe.costs:
        return {}
    if trial.stage == "search":
        before = trial.rungs[-2] if len(trial.rungs) > 1 else 0.0
        return {"search": _estimate_search_seconds(recipe, probe, trial.label, before, trial.rungs[-1])}
    return _estimate_confirm_seconds(recipe, probe, trial.label)


def estimate_remaining_seconds(recipe: Recipe, data: DataSummary, probe: Probe, done: Sequence[Trial]) -> float:
    """What is still to be paid when those trials are done: a further process reads text and model, and draws, anew."""
    paid = sum(sum(estimate_trial_seconds(trial, recipe, probe).values()) for trial in done)
    paid += sum(estimate_trunk_seconds(probe, label) for label in {trial.label for trial in done})
    whole = estimate_cost(recipe, data, probe)
    return max(0.0, whole.seconds - whole.apart_seconds - paid) + whole.apart_seconds


def estimate_trunk_seconds(probe: Probe, label: str) -> float:
    """What a method pays once for the trunk's outputs, if it trains the head alone."""
    rate = probe.costs[label].trunk if label in probe.costs else None
    return rate.seconds(probe.work.trunk) if rate else 0.0


def _build_entries(recipe: Recipe, data: DataSummary, probe: Probe) -> Iterator[CostEntry]:
    trains = [label for label, costs in probe.costs.items() if costs.step]
    paid: set[str] = set()  # for the trunk
    for stage in plan_stages(recipe, data, trains):
        label = stage.label
        if label not in probe.costs:
            continue
        once = 0.0 if label in paid else estimate_trunk_seconds(probe, label)
        paid.add(label)
        parts: dict[Part, float] = (
            {"search": _estimate_search_seconds(recipe, probe, label, stage.before, stage.rung)}
            if stage.name == "search"
            else _estimate_confirm_seconds(recipe, probe, label)
        )
        for i, (part, seconds) in enumerate(parts.items()):
            yield CostEntry(
                label=label,
                part=part,
                rung=stage.rung,
                trainings=stage.trainings,
                seconds=stage.trainings * seconds + (0.0 if i else once),
                memory_bytes=probe.costs[label].memory_bytes(part),
            )


def _estimate_confirm_seconds(recipe: Recipe, probe: Probe, label: str) -> dict[Part, float]:
    """What trains nothing is only tested."""
    costs, work = probe.costs[label], probe.work
    training = _estimate_training_seconds(recipe, probe, label)
    test = (
        costs.save_seconds
        + costs.evaluation.seconds(work.evaluation)
        + _estimate_generation_seconds(costs, work.prompts, work.new_tokens)
        + probe.inference_seconds
    )
    return {"confirm": training, "test": test} if costs.step else {"test": training + test}


def _estimate_search_seconds(recipe: Recipe, probe: Probe, label: str, before: float, share: float) -> float:
    """Of one configuration, from one rung to the next."""
    costs, work = probe.costs[label], probe.work
    seconds = _estimate_training_seconds(recipe, probe, label, before, share)
    if recipe.search and recipe.search.metric != "loss":
        seconds += costs.evaluation.seconds(work.validation)
        seconds += _estimate_generation_seconds(costs, work.validation_prompts, work.new_tokens)
    return seconds


def _estimate_training_seconds(
    recipe: Recipe, probe: Probe, label: str, before: float = 0.0, share: float = 1.0
) -> float:
    """Of one training from a share of all its steps to another, its validations and its loading included."""
    costs, work, epochs = probe.costs[label], probe.work, recipe.training.epochs
    seconds = costs.load_seconds
    if not before:
        seconds += costs.validation.seconds(work.validation)  # before the first step
    if costs.step is None:
        return seconds
    start, end = (math.ceil(part * work.epoch.count * epochs) for part in (before, share))
    ends_of_epochs = end // work.epoch.count - start // work.epoch.count
    validations = ends_of_epochs + (end % work.epoch.count > 0)
    return (
        seconds
        + costs.begin_seconds
        + validations * costs.validation.seconds(work.validation)
        + costs.step.seconds(work.epoch, (end - start) / work.epoch.count)
    )


def _estimate_generation_seconds(costs: MethodCosts, prompts: Batches, new_tokens: int) -> float:
    """Reading the prompts is like evaluating them; then all rows of a batch get their tokens together."""
    return costs.evaluation.seconds(prompts) + prompts.count * new_tokens * costs.new_token_seconds


def _estimate_disk(recipe: Recipe, probe: Probe) -> dict[str, int]:
    """Checkpoints are counted at the search's widest: those of every method that may go on to the second rung."""
    costs = {label: probe.costs[label] for label in recipe.methods if label in probe.costs}
    options, going_on = recipe.search, 0
    if options and options.rungs > 1:
        searched = sum(own.checkpoint_bytes for label, own in costs.items() if recipe.get_space(label))
        going_on = math.ceil(options.configurations / options.eta) * searched
    running = 2 * max((own.checkpoint_bytes for own in costs.values()), default=0)  # the last one, and the next
    return {
        "what was trained": sum(own.adapter_bytes * len(recipe.get_seeds(label)) for label, own in costs.items()),
        "checkpoints": going_on + running,
        "trunk outputs": max((own.trunk_bytes for own in costs.values()), default=0),
        "page and figures": PAGE_BYTES,
    }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison before it is run: what each method trains, and what it goes through stage by stage."""

    recipe: Recipe
    parameters: Mapping[str, tuple[int, int]]  # trainable and all, by label
    stages: tuple[Stage, ...]
    cost_estimate: CostEstimate | None = None  # where it was probed: what it will cost here
    room: Capacity | None = None  # and what there is for it
    refused: Mapping[str, str] = field(default_factory=dict)  # methods that could not be probed, with the reason
