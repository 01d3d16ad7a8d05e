"""What a trial runs with: a device, a precision, a meter and a progress listener."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from tuneoff.runtime.followers import Followers
from tuneoff.runtime.meter import Meter
from tuneoff.runtime.progress import OnProgress

if TYPE_CHECKING:
    from accelerate import Accelerator

    from tuneoff.models.precision import Precision


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What training and evaluation need besides a model and data."""

    accelerator: Accelerator
    meter: Meter
    on_progress: OnProgress
    followers: Followers = field(default_factory=Followers)  # of a trial on several devices

    @property
    def device(self) -> torch.device:
        """The device of the model and its batches."""
        return torch.device(self.accelerator.device)


def create_context(
    device: torch.device, precision: Precision, on_progress: OnProgress, followers: Followers | None = None
) -> TrialContext:
    """Return a context with a new meter.

    accelerate keeps one state per process and refuses a second one with another precision. A notebook may compare
    twice in one process, so the state is reset first.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")
    return TrialContext(
        accelerator=accelerator,
        meter=Meter(accelerator.device),
        on_progress=on_progress,
        followers=followers or Followers(),
    )
