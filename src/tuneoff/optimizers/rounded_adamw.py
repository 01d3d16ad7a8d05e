"""AdamW whose weights and moments are bf16 between its steps, and float32 within one."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

CHUNK = 2**17  # elements that are updated together, so that their float32 copies stay in a processor's cache
LOW_BITS = 16  # of a float32 that bf16 leaves out


@final
class RoundedAdamW(torch.optim.Optimizer):
    """Decoupled weight decay and bias correction as in PyTorch's AdamW.

    Weights and second moments are rounded up or down at random, by the device's default generator. A first moment
    forgets a tenth of itself in each step, which is many times the resolution of bf16, so it is rounded to the nearest.

    Args:
        groups: of parameters in bf16, contiguous.
    """

    def __init__(self, groups: list[dict[str, object]]) -> None:
        super().__init__(groups, {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient."""
        assert closure is None, "the gradients are there already"
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weights) for _ in range(2))
                state["step"] += 1
                tensors = (weights, weights.grad, state["exp_avg"], state["exp_avg_sq"])
                for parts in zip(*(torch.split(tensor.view(-1), CHUNK) for tensor in tensors), strict=True):
                    _update(
                        *parts, step=int(state["step"]), rate=group["lr"], decay=group["weight_decay"],
                        betas=group["betas"], eps=group["eps"],
                    )  # fmt: skip


def _update(
    weights_N: Tensor,
    gradients_N: Tensor,
    first_N: Tensor,
    second_N: Tensor,
    *,
    step: int,
    rate: float,
    decay: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Update weights and both moments in place; all are bf16.

    Args:
        step: the number of this step, 1 for the first.
    """
    gradients = gradients_N.float()
    first = first_N.float().lerp_(gradients, 1 - betas[0])
    second = second_N.float().mul_(betas[1]).addcmul_(gradients, gradients, value=1 - betas[1])
    for_weights, for_second = torch.split(_draw_bits(2 * len(weights_N), weights_N.device), len(weights_N))
    first_N.copy_(first)
    round_at_random(second_N, second, for_second)
    spread = second.div_(1 - betas[1] ** step).sqrt_().add_(eps)
    weights = weights_N.float().mul_(1 - rate * decay).addcdiv_(first, spread, value=-rate / (1 - betas[0] ** step))
    round_at_random(weights_N, weights, for_weights)


def round_at_random(target: Tensor, exact: Tensor, bits: Tensor) -> None:
    """Write float32 numbers into a bf16 tensor, each rounded up with a chance of its distance from the one below.

    A bf16 number is the upper half of a float32. A random number of 16 bits carries into it from the lower half with
    just that chance (pytorch/pytorch#120376).

    Args:
        bits: random int16 for each number.
    """
    carried = bits.int().bitwise_and_(2**LOW_BITS - 1).add_(exact.view(torch.int32))
    target.copy_(carried.bitwise_and_(-(2**LOW_BITS)).view(torch.float32))


def _draw_bits(count: int, device: torch.device) -> Tensor:
    """Return random int16 numbers, all values equally likely. One draw of 64 bits makes four of them."""
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device=device)
    return drawn.random_(-(2**63), None).view(torch.int16)[:count]
