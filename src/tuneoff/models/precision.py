"""The precision that weights are held in and matrix products are computed in."""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from tuneoff.models.quantisation import compute_in

Precision = Literal["bf16", "float32"]
Model = TypeVar("Model", bound=nn.Module)


def resolve_precision(wanted: Literal["auto", "bf16", "float32"], device: torch.device) -> Precision:
    """Return the wanted precision; for "auto", bf16 on hardware that multiplies it natively and float32 elsewhere.

    "auto" never chooses emulated bf16 (an AVX2 CPU), which is slower than float32.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _supports_bf16(device) else "float32"


def get_dtype(precision: Precision) -> torch.dtype:
    """Return the dtype that frozen weights are held in."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def hold_for_training(model: Model, frozen: torch.dtype) -> Model:
    """Hold trained weights in float32, so that no small update is lost, and frozen matrices in dtype `frozen`.

    Frozen vectors stay in float32 too: they need little memory, and a LayerNorm on a CPU refuses parameters that are
    coarser than its input. Every weight is copied: one that stayed in the memory-mapped checkpoint would keep all of
    it in memory. The copies are contiguous: fused AdamW goes through a weight and its state in the order of memory, and
    a state that is read from a checkpoint is contiguous. Quantised weights stay as they are, and are multiplied in
    `frozen`.
    """
    compute_in(model, frozen)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            keep_float32 = parameter.requires_grad or parameter.ndim < 2
            parameter.data = parameter.data.to(
                torch.float32 if keep_float32 else frozen, copy=True, memory_format=torch.contiguous_format
            )
    return model


def hold_for_inference(model: Model, dtype: torch.dtype) -> Model:
    """Hold every weight in `dtype` and without gradients, as the model would be served."""
    model.requires_grad_(False)
    compute_in(model, dtype)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    return model.eval()


def to_float64(tensor: Tensor) -> Tensor:
    """Return a tensor in float64, on the CPU if its device has no such numbers."""
    return tensor.to(get_float64_device(tensor.device)).double()


def get_float64_device(device: torch.device) -> torch.device:
    """Return the device itself, or the CPU if it has no float64, as MPS."""
    return torch.device("cpu") if device.type == "mps" else device


def _supports_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "xpu":
        return bool(torch.xpu.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False
