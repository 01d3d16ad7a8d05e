"""Estimate what a comparison will cost: the rates of a probe times the exact work of the plan. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuneoff.budget.probe import Batches, MethodCosts, Part, Probe
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.stages import plan_stages
from tuneoff.search.effort import scale_configurations
from tuneoff.search.halving import count_tries
from tuneoff.system.cache import HIDDEN_STATES_MAX_BYTES

REPORT_BYTES = 4_000_000  # a page and its figures as files: 2 to 4 MB


@dataclass(frozen=True, kw_only=True)
class CostEntry:
    """The cost of one method in one part of the comparison."""

    label: str
    part: Part
    previous_rung: float  # the share of the full training that the trainings start from
    rung: float  # the share that they end at
    trainings: int
    seconds: float  # of all trainings
    memory_bytes: int  # of one training; they run one after the other


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a comparison will cost if no training diverges or stops early."""

    entries: tuple[CostEntry, ...]
    shared_seconds: float  # that belong to no method
    disk: Mapping[str, int]  # peak bytes by kind of file

    @property
    def seconds(self) -> float:
        """The seconds of the whole comparison."""
        return self.shared_seconds + sum(entry.seconds for entry in self.entries)

    @property
    def memory_bytes(self) -> int:
        """The peak memory of the whole comparison."""
        return max((entry.memory_bytes for entry in self.entries), default=0)

    @property
    def disk_bytes(self) -> int:
        """The peak disk space of the whole comparison."""
        return sum(self.disk.values())


def estimate_cost(recipe: Recipe, data: DataSummary, probe: Probe) -> CostEstimate:
    """Estimate the whole comparison, by method and part. Methods that could not be probed are left out."""
    return CostEstimate(
        entries=tuple(_build_entries(recipe, data, probe)),
        shared_seconds=probe.shared_seconds,
        disk=_estimate_disk(recipe, probe),
    )


def estimate_trial_seconds(trial: Trial, recipe: Recipe, probe: Probe) -> dict[Part, float]:
    """Estimate the seconds of one trial by part; empty if its method could not be probed.

    The trunk's outputs are not included: they are computed once per method, by the first trial that needs them.
    """
    if trial.label not in probe.costs:
        return {}
    if trial.stage == "search":
        previous_rung = trial.rungs[-2] if len(trial.rungs) > 1 else 0.0
        return {"search": _estimate_search_seconds(recipe, probe, trial.label, previous_rung, trial.rungs[-1])}
    return _estimate_confirm_seconds(recipe, probe, trial.label)


def estimate_remaining_seconds(recipe: Recipe, data: DataSummary, probe: Probe, done: Sequence[Trial]) -> float:
    """Estimate what is left of a comparison after the trials in `done`.

    The shared seconds count in full, because the next process reads text and model and writes the report again.
    """
    done_seconds = sum(sum(estimate_trial_seconds(trial, recipe, probe).values()) for trial in done)
    passes = {(trial.label, trial.train_sample) for trial in done}
    done_seconds += sum(estimate_trunk_seconds(probe, label) for label, _ in passes)
    total = estimate_cost(recipe, data, probe)
    return max(0.0, total.seconds - total.shared_seconds - done_seconds) + total.shared_seconds


def estimate_trunk_seconds(probe: Probe, label: str) -> float:
    """Estimate one pass through the trunk of a method that trains the head alone; 0 for other methods.

    There is one for each train sample.
    """
    rate = probe.costs[label].trunk if label in probe.costs else None
    return rate.estimate_seconds(probe.get_work(label).trunk) if rate else 0.0


def compute_epoch_seconds(probe: Probe) -> dict[str, float]:
    """Return the seconds of one epoch of training by label, without validation."""
    return {
        label: own.step.estimate_seconds(probe.get_work(label).epoch) for label, own in probe.costs.items() if own.step
    }


def _build_entries(recipe: Recipe, data: DataSummary, probe: Probe) -> Iterator[CostEntry]:
    trained_labels = [label for label, costs in probe.costs.items() if costs.step]
    with_trunk: set[str] = set()  # labels whose pass through the trunk for the train split is in an entry
    for stage in plan_stages(recipe, data, trained_labels, compute_epoch_seconds(probe)):
        label = stage.label
        if label not in probe.costs:
            continue
        draws_samples = recipe.replicates is not None and stage.name == "confirm"
        passes = stage.trainings if draws_samples else int(label not in with_trunk)
        trunk_seconds = passes * estimate_trunk_seconds(probe, label)
        with_trunk.add(label)
        parts: dict[Part, float] = (
            {"search": _estimate_search_seconds(recipe, probe, label, stage.previous_rung, stage.rung)}
            if stage.name == "search"
            else _estimate_confirm_seconds(recipe, probe, label)
        )
        for i, (part, seconds) in enumerate(parts.items()):
            yield CostEntry(
                label=label,
                part=part,
                previous_rung=stage.previous_rung,
                rung=stage.rung,
                trainings=stage.trainings,
                seconds=stage.trainings * seconds + (0.0 if i else trunk_seconds),
                memory_bytes=probe.costs[label].get_memory_bytes(part),
            )


def _estimate_confirm_seconds(recipe: Recipe, probe: Probe, label: str) -> dict[Part, float]:
    """Estimate a confirmed trial by part. A method that trains nothing has the test part alone."""
    costs, work = probe.costs[label], probe.get_work(label)
    training = _estimate_training_seconds(recipe, probe, label)
    test = (
        costs.save_seconds
        + costs.evaluation.estimate_seconds(work.evaluation)
        + (_estimate_generation_seconds(costs, work.prompts, work.new_tokens) if recipe.needs_generation else 0.0)
        + costs.evaluation.estimate_seconds(work.benchmarks)
        + work.benchmark_new_tokens * costs.new_token_seconds
        + probe.inference_seconds
    )
    return {"confirm": training, "test": test} if costs.step else {"test": training + test}


def _estimate_search_seconds(recipe: Recipe, probe: Probe, label: str, start: float, end: float) -> float:
    """Estimate one configuration of a search from one rung to the next."""
    costs, work = probe.costs[label], probe.get_work(label)
    seconds = _estimate_training_seconds(recipe, probe, label, start, end)
    if recipe.search and recipe.metric_table[recipe.search.metric].needs_generation:
        seconds += costs.evaluation.estimate_seconds(work.validation)
        seconds += _estimate_generation_seconds(costs, work.validation_prompts, work.new_tokens)
    return seconds


def _estimate_training_seconds(recipe: Recipe, probe: Probe, label: str, start: float = 0.0, end: float = 1.0) -> float:
    """Estimate loading, training and validating between two shares of the full training."""
    costs, work, epochs = probe.costs[label], probe.get_work(label), recipe.training.epochs
    seconds = costs.load_seconds
    if not start:
        seconds += costs.validation.estimate_seconds(work.validation)  # before the first step
    if costs.step is None:
        return seconds
    first_step, last_step = (math.ceil(share * work.epoch.count * epochs) for share in (start, end))
    epoch_ends = last_step // work.epoch.count - first_step // work.epoch.count
    validations = epoch_ends + (last_step % work.epoch.count > 0)
    return (
        seconds
        + costs.begin_seconds
        + validations * costs.validation.estimate_seconds(work.validation)
        + costs.step.estimate_seconds(work.epoch, (last_step - first_step) / work.epoch.count)
    )


def _estimate_generation_seconds(costs: MethodCosts, prompts: Batches, new_tokens: int) -> float:
    """Estimate predictions: reading a prompt costs as much as evaluating it, then a batch gets its tokens together."""
    return costs.evaluation.estimate_seconds(prompts) + prompts.count * new_tokens * costs.new_token_seconds


def _estimate_disk(recipe: Recipe, probe: Probe) -> dict[str, int]:
    """Estimate the peak bytes by kind of file.

    Checkpoints are counted where a search keeps most of them: when every configuration that may continue to the second
    rung has one.
    """
    costs = {label: probe.costs[label] for label in recipe.methods if label in probe.costs}
    options, resumable_bytes = recipe.search, 0
    if options and options.rungs > 1:
        epoch_seconds = compute_epoch_seconds(probe)
        resumable_bytes = sum(
            count_tries(options, scale_configurations(recipe, label, epoch_seconds)).at_rungs[1] * own.checkpoint_bytes
            for label, own in costs.items()
            if recipe.get_space(label)
        )
    running_bytes = 2 * max((own.checkpoint_bytes for own in costs.values()), default=0)  # the last one and the next
    return {
        "trained weights": sum(own.adapter_bytes * len(recipe.get_seeds(label)) for label, own in costs.items()),
        "checkpoints": resumable_bytes + running_bytes,
        "trunk outputs": _estimate_trunk_bytes(recipe, max((own.trunk_bytes for own in costs.values()), default=0)),
        "report": REPORT_BYTES,
    }


def _estimate_trunk_bytes(recipe: Recipe, bytes_of_sample: int) -> int:
    """Estimate the files of all train samples, of which the cache removes those used least recently."""
    samples = 1 + (recipe.replicates or 0)
    return max(bytes_of_sample, min(samples * bytes_of_sample, HIDDEN_STATES_MAX_BYTES))
