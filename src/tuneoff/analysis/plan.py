"""A comparison before it runs: its stages, their cost, the capacity of the machine, and what it can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuneoff.analysis.sensitivity import Sensitivity
from tuneoff.budget.estimate import CostEstimate
from tuneoff.data.statistics import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.stages import Stage


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The memory, disk space and time that a comparison can use."""

    memory_bytes: int
    disk_bytes: int
    seconds: float | None = None  # None: the recipe has no budget


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The data of a comparison, what each method trains, and the stages that it goes through."""

    recipe: Recipe
    data: DataSummary
    parameters: Mapping[str, tuple[int, int]]  # trainable and total, by label
    stages: tuple[Stage, ...]
    misfits: Mapping[str, str] = field(default_factory=dict)  # why methods do not fit the model, by label
    cuts: Mapping[str, str] = field(default_factory=dict)  # choices that a search leaves out and why, by label
    cost_estimate: CostEstimate | None = None  # None without a probe
    capacity: Capacity | None = None  # None without a probe
    refused: Mapping[str, str] = field(default_factory=dict)  # methods that could not be probed, with the reason
    sensitivity: Sensitivity | None = None  # None: there is nothing to compare, or its noise is unknown
