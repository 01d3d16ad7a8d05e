"""The gradients of one step, from the micro-batches of one device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from tuneoff.data.batches import Batch


def accumulate_gradients(
    batches: Sequence[Batch],
    target_tokens: int,
    compute_nats: Callable[[Batch], Tensor],
    backward: Callable[[Tensor], object],
    *,
    in_step: bool = False,
) -> float:
    """Add the gradients of the mean loss over the effective batch, as far as these micro-batches are part of it.

    The nats of all micro-batches are divided by the number of target tokens in the effective batch. A mean of the
    micro-batches' means would weight a token by the micro-batch it is in.

    Args:
        target_tokens: in the whole effective batch, on all devices.
        compute_nats: returns the loss of a micro-batch in nats, summed over its target tokens.
        in_step: whether other devices wait for every pass, also where its loss is not finite or has no tokens.

    Returns:
        The summed loss of these micro-batches in nats. It ends at the first that is not finite.
    """
    total_nats = 0.0
    for batch in batches:
        if not (batch.target_tokens or in_step):
            continue
        nats = compute_nats(batch)
        total_nats += nats.item()
        if not (math.isfinite(total_nats) or in_step):
            break
        backward(nats / max(1, target_tokens))
    return total_nats


def seed_step(seed: int, step: int, device: int) -> None:
    """Seed every generator for one step on one of several devices.

    A checkpoint holds the states of one process only. With these seeds it need not hold those of the others.
    """
    import numpy as np
    from accelerate.utils import set_seed

    set_seed(int(np.random.SeedSequence([seed, step, device]).generate_state(1)[0]))


def list_missing(parameters: Sequence[nn.Parameter]) -> list[int]:
    """Return which parameters have no gradient, by their places."""
    return [i for i, parameter in enumerate(parameters) if parameter.grad is None]
