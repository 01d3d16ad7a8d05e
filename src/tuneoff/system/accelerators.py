"""What differs between kinds of devices: which one is there, waiting for it, and its memory and random numbers.

NVIDIA and AMD GPUs are `cuda`, Intel's `xpu`, Apple's `mps`. PyTorch has the same functions for `cuda` and `xpu`, and
fewer for `mps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KINDS = ("cuda", "xpu", "mps")


def find_accelerator() -> torch.device | None:
    """Return the device that trains faster than the CPU; None if this machine has none, or one of another kind."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found if found is not None and found.type in KINDS else None


def list_names() -> list[str]:
    """Return the name of every accelerator that this process sees."""
    import torch

    found = find_accelerator()
    return [get_name(torch.device(found.type, i)) for i in range(torch.accelerator.device_count())] if found else []


def get_name(device: torch.device) -> str:
    """Return the name of an accelerator, as its driver has it."""
    if device.type == "mps":
        return "Apple GPU"  # which one, the processor says
    return str(_get_module(device).get_device_name(device))


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its queued work; a CPU has no queue."""
    if device.type == "mps":
        _get_module(device).synchronize()
    elif device.type in KINDS:
        _get_module(device).synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Release memory that was freed, and start counting the peak anew."""
    _get_module(device).empty_cache()  # otherwise memory reserved in an earlier phase would count
    if device.type != "mps":
        _get_module(device).reset_peak_memory_stats(device)


def read_peak_bytes(device: torch.device) -> tuple[int, int]:
    """Return the most bytes that tensors had since `reset_peak`, and the most that PyTorch reserved for them.

    MPS has no such counter: both are what is reserved now, which PyTorch does not give back before `reset_peak`.
    """
    module = _get_module(device)
    if device.type == "mps":
        reserved = int(module.driver_allocated_memory())
        return reserved, reserved
    return int(module.max_memory_allocated(device)), int(module.max_memory_reserved(device))


def get_reserved_bytes(device: torch.device) -> int:
    """Return the bytes that PyTorch has reserved now."""
    module = _get_module(device)
    return int(module.driver_allocated_memory() if device.type == "mps" else module.memory_reserved(device))


def get_total_bytes(device: torch.device) -> int:
    """Return the memory of an accelerator; of MPS, which shares the machine's, what the driver recommends at most."""
    module = _get_module(device)
    if device.type == "mps":
        return int(module.recommended_max_memory())
    return int(module.get_device_properties(device).total_memory)


def get_rng_state(device: torch.device) -> Tensor:
    """Return the state of the device's generator of random numbers."""
    state: Tensor = _get_module(device).get_rng_state(device)
    return state


def set_rng_state(state: Tensor, device: torch.device) -> None:
    """Set the state of the device's generator of random numbers."""
    _get_module(device).set_rng_state(state, device)


def _get_module(device: torch.device) -> Any:  # Any: modules, such as torch.cuda
    import torch

    return torch.get_device_module(device)
