"""The bill: what a comparison will cost, from what a probe measured and how much of it the plan has. Pure.

A probe's costs are rates: seconds for a batch and for a token of it, padding counted, since a pad is computed like any
other token. The plan knows its batches to the last one, so that a prediction is one multiplied by the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.budget.probe import Batches, MethodCosts, Part, Probe
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.stages import plan_stages

if TYPE_CHECKING:
    pass

PAGE_BYTES = 4_000_000  # a page and its figures as files: 2 to 4 MB


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
    shared_seconds: float  # of no method
    disk: Mapping[str, int]  # the most bytes that will be there at once, by what they are

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.shared_seconds + sum(entry.seconds for entry in self.entries)

    @property
    def memory_bytes(self) -> int:
        """The most that is ever held."""
        return max((entry.memory_bytes for entry in self.entries), default=0)

    @property
    def disk_bytes(self) -> int:
        """The most that is ever kept."""
        return sum(self.disk.values())


def estimate_cost(recipe: Recipe, data: DataSummary, probe: Probe) -> CostEstimate:
    """The whole comparison, method by method and part by part."""
    return CostEstimate(
        entries=tuple(_build_entries(recipe, data, probe)),
        shared_seconds=probe.shared_seconds,
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
    return max(0.0, whole.seconds - whole.shared_seconds - paid) + whole.shared_seconds


def estimate_trunk_seconds(probe: Probe, label: str) -> float:
    """What a method pays once for the trunk's outputs, if it trains the head alone."""
    rate = probe.costs[label].trunk if label in probe.costs else None
    return rate.estimate_seconds(probe.work.trunk) if rate else 0.0


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
            {"search": _estimate_search_seconds(recipe, probe, label, stage.previous_rung, stage.rung)}
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
                memory_bytes=probe.costs[label].get_memory_bytes(part),
            )


def _estimate_confirm_seconds(recipe: Recipe, probe: Probe, label: str) -> dict[Part, float]:
    """What trains nothing is only tested."""
    costs, work = probe.costs[label], probe.work
    training = _estimate_training_seconds(recipe, probe, label)
    test = (
        costs.save_seconds
        + costs.evaluation.estimate_seconds(work.evaluation)
        + _estimate_generation_seconds(costs, work.prompts, work.new_tokens)
        + probe.inference_seconds
    )
    return {"confirm": training, "test": test} if costs.step else {"test": training + test}


def _estimate_search_seconds(recipe: Recipe, probe: Probe, label: str, before: float, share: float) -> float:
    """Of one configuration, from one rung to the next."""
    costs, work = probe.costs[label], probe.work
    seconds = _estimate_training_seconds(recipe, probe, label, before, share)
    if recipe.search and recipe.search.metric != "loss":
        seconds += costs.evaluation.estimate_seconds(work.validation)
        seconds += _estimate_generation_seconds(costs, work.validation_prompts, work.new_tokens)
    return seconds


def _estimate_training_seconds(
    recipe: Recipe, probe: Probe, label: str, before: float = 0.0, share: float = 1.0
) -> float:
    """Of one training from a share of all its steps to another, its validations and its loading included."""
    costs, work, epochs = probe.costs[label], probe.work, recipe.training.epochs
    seconds = costs.load_seconds
    if not before:
        seconds += costs.validation.estimate_seconds(work.validation)  # before the first step
    if costs.step is None:
        return seconds
    start, end = (math.ceil(part * work.epoch.count * epochs) for part in (before, share))
    ends_of_epochs = end // work.epoch.count - start // work.epoch.count
    validations = ends_of_epochs + (end % work.epoch.count > 0)
    return (
        seconds
        + costs.begin_seconds
        + validations * costs.validation.estimate_seconds(work.validation)
        + costs.step.estimate_seconds(work.epoch, (end - start) / work.epoch.count)
    )


def _estimate_generation_seconds(costs: MethodCosts, prompts: Batches, new_tokens: int) -> float:
    """Reading the prompts is like evaluating them; then all rows of a batch get their tokens together."""
    return costs.evaluation.estimate_seconds(prompts) + prompts.count * new_tokens * costs.new_token_seconds


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
