"""A comparison before it runs: its stages, what they will cost, and what the machine and the budget allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.stages import Stage

if TYPE_CHECKING:
    pass
from tuneoff.budget.estimate import CostEstimate


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What there is of everything; None where nobody set a limit."""

    memory_bytes: int
    disk_bytes: int
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison before it is run: what each method trains, and what it goes through stage by stage."""

    recipe: Recipe
    parameters: Mapping[str, tuple[int, int]]  # trainable and all, by label
    stages: tuple[Stage, ...]
    cost_estimate: CostEstimate | None = None  # where it was probed: what it will cost here
    capacity: Capacity | None = None  # and what there is for it
    refused: Mapping[str, str] = field(default_factory=dict)  # methods that could not be probed, with the reason
