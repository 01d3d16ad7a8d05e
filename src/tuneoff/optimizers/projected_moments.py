"""Gradients that are scaled by what AdamW would do to a random projection of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from tuneoff.optimizers.optimizer import Group

STEPS, SEED = "projected_steps", "projected_seed"  # options of each group, so that a checkpoint has them
PERIOD = 200  # steps with the same projection
GROWTH = 1.01  # of an update's norm from one step to the next, at most
SMALLEST = 1e-30


@final
class ProjectedMoments(torch.optim.Optimizer):
    """Update matrices by their gradient with each channel scaled, as APOLLO does (Zhu et al. 2024, algorithm 1).

    The projection of a matrix is drawn from the seed, its place and the number of steps whenever it is needed. So it
    takes no memory, and a training that is resumed has the same one.
    """

    def __init__(self, groups: list[Group], seed: int) -> None:
        super().__init__(groups, {"betas": (0.9, 0.999), "eps": 1e-8, STEPS: 0, SEED: seed})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step."""
        assert closure is None, "the gradients are there already"
        for place, group in enumerate(self.param_groups):
            period = group[STEPS] // PERIOD
            group[STEPS] += 1
            for number, matrix in enumerate(group["params"]):
                if matrix.grad is not None:
                    self._update(matrix, group, f"{group[SEED]}, {place}, {number}, {period}")

    def _update(self, matrix: Tensor, group: Group, key: str) -> None:
        """Update a matrix, whose smaller side is M and whose larger one is N."""
        assert matrix.grad is not None
        is_tall = matrix.shape[0] > matrix.shape[1]
        gradient_MN = matrix.grad.T if is_tall else matrix.grad
        projected_RN = _draw_projection(gradient_MN, key) @ gradient_MN
        adapted_RN = self._adapt(matrix, projected_RN, group)
        factor_N = adapted_RN.norm(dim=0) / projected_RN.norm(dim=0).clamp_min(SMALLEST)
        update_MN = self._limit(matrix, gradient_MN * factor_N)
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update_MN.T if is_tall else update_MN, alpha=-group["lr"])

    def _adapt(self, matrix: Tensor, projected_RN: Tensor, group: Group) -> Tensor:
        """Return the step that AdamW would take with the projected gradient."""
        state: dict[str, Any] = self.state[matrix]
        if not state:
            state |= {"first": torch.zeros_like(projected_RN), "second": torch.zeros_like(projected_RN)}
            state["norm"] = projected_RN.new_zeros(())
        beta1, beta2 = group["betas"]
        first, second = state["first"], state["second"]
        first.lerp_(projected_RN, 1 - beta1)
        second.mul_(beta2).addcmul_(projected_RN, projected_RN, value=1 - beta2)
        deviation_RN = (second / (1 - beta2 ** group[STEPS])).sqrt_().add_(group["eps"])
        adapted_RN: Tensor = (first / (1 - beta1 ** group[STEPS])).div_(deviation_RN)
        return adapted_RN

    def _limit(self, matrix: Tensor, update_MN: Tensor) -> Tensor:
        """Return an update whose norm is not much larger than that of the step before."""
        norm, before = update_MN.norm(), self.state[matrix]["norm"]
        limit = torch.where(before > 0, torch.minimum(norm, GROWTH * before), norm)
        before.copy_(limit)
        return update_MN.mul_(limit / norm.clamp_min(SMALLEST))


def choose_rank(matrix: Tensor) -> int:
    """Return the rank of a matrix' projection: a quarter of its smaller side, as in the paper."""
    return max(1, min(matrix.shape) // 4)


def _draw_projection(gradient_MN: Tensor, key: str) -> Tensor:
    """Return a random matrix, (R, M), that keeps the length of a column on average."""
    rank = choose_rank(gradient_MN)
    generator = torch.Generator().manual_seed(random.Random(key).getrandbits(63))
    projection_RM: Tensor = torch.randn(rank, gradient_MN.shape[0], generator=generator) / rank**0.5
    return projection_RM.to(gradient_MN)
