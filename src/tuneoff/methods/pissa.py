"""PiSSA: LoRA from the largest singular values. Source: Meng et al. 2024, arXiv:2404.02948, through peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE
from tuneoff.methods.method import Rate
from tuneoff.methods.subtracted import Subtracted


@final
class PiSSA(Subtracted):
    """LoRA whose matrices start as the largest singular vectors of the weight, which are subtracted from the weight.

    Training starts at the base model up to rounding. The first gradients are large, so the learning rates are far below
    LoRA's. The saved adapter is a plain LoRA of twice the rank for the original base model, since nobody else has the
    weights without their largest singular vectors.
    """

    name: ClassVar[str] = "pissa"
    space: ClassVar[Space] = {"learning_rate": Range(low=5e-6, high=5e-4), **SHARED_SPACE}
    variant: ClassVar[Mapping[str, Any]] = {"init_lora_weights": "pissa_niter_16"}  # approximate SVD, 16 iterations
    learning_rate: Rate = 5e-5
