"""Where a trial's work is done: a device and its precision, a meter, and whoever listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

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

    @property
    def device(self) -> torch.device:
        """Where batches go."""
        return torch.device(self.accelerator.device)


def create_context(device: torch.device, precision: Precision, on_progress: OnProgress) -> TrialContext:
    """A workbench with a fresh meter.

    accelerate keeps one state for the whole process and refuses a second with another precision; a notebook that
    compares twice is no reason to start a new process, so that the state is begun anew.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")
    return TrialContext(accelerator=accelerator, meter=Meter(accelerator.device), on_progress=on_progress)
