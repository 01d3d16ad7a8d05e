"""The device of a run, or the devices of each of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tuneoff.errors import RecipeError
from tuneoff.models.precision import Precision, get_dtype
from tuneoff.system.accelerators import KINDS, find_accelerator, get_name
from tuneoff.system.capacity import count_cores, get_memory_bytes
from tuneoff.system.environment import get_processor_name

if TYPE_CHECKING:
    import torch

    from tuneoff.recipe.recipe import Recipe


def choose_device(recipe: Recipe) -> torch.device:
    """Return the device that a recipe asks for, the first one if its trials have several.

    Raises:
        RecipeError: this machine does not have it, or not as many.
    """
    import torch

    name, found = recipe.model.device, find_accelerator()
    if name != "cpu" and name != "auto" and (found is None or found.type != name):
        raise RecipeError(f"model.device is {name!r}, which this machine does not have. Use auto or cpu.")
    device = torch.device("cpu") if name == "cpu" or found is None else found
    _require_devices(recipe.training.devices, device.type)
    return device


def _require_devices(devices: int, device_type: str) -> None:
    """Check that there are so many GPUs, or cores for so many processes."""
    import torch

    if devices == 1:
        return
    if device_type not in {"cuda", "cpu"}:
        raise RecipeError(
            f"training.devices is {devices}, which is for GPUs of CUDA or ROCm and for processes on a CPU, and the "
            f"device here is {device_type}. Leave it out."
        )
    room = torch.cuda.device_count() if device_type == "cuda" else count_cores()
    if devices > room:
        kind = "GPU" if device_type == "cuda" else "core"
        raise RecipeError(
            f"training.devices is {devices}, but this process may use {room} {kind}{'' if room == 1 else 's'}. Write "
            f"training.devices: {room}, or run on a machine that has more: all devices of a trial are of one machine."
        )


def require_room_to_evaluate(parameters: Iterable[int], precision: Precision, device: torch.device) -> None:
    """Check that a model which is divided in training fits onto one device as it is evaluated, before it is trained.

    Args:
        parameters: of each method, trained or not.

    Raises:
        RecipeError: it does not fit.
    """
    needed_bytes = max(parameters) * get_dtype(precision).itemsize
    has_bytes = get_memory_bytes(device)
    if needed_bytes > has_bytes:
        raise RecipeError(
            f"The model takes {needed_bytes / 1e9:,.1f} GB in {precision}, and one device has {has_bytes / 1e9:,.1f} "
            "GB. training.shard divides it in training, but its answers are written on one device, so the whole of it "
            "has to fit there. Choose a smaller model or a larger GPU."
        )


def get_device_name(device: torch.device) -> str:
    """Return the name of the accelerator or of the processor, with the threads of a trial on a CPU."""
    import torch

    if device.type in KINDS:
        return f"{get_processor_name()}, {get_name(device)}" if device.type == "mps" else get_name(device)
    return f"{get_processor_name()}, {torch.get_num_threads()} threads"
