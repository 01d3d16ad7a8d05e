"""A comparison before it runs: its stages, what they should cost, and the capacity of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    cost_estimate: CostEstimate | None = None  # None without a probe
    capacity: Capacity | None = None  # None without a probe
    refused: Mapping[str, str] = field(default_factory=dict)  # methods that could not be probed, with the reason
