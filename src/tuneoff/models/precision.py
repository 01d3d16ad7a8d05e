"""Which precision this machine computes matrix products in without emulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["bf16", "float32"]


def resolve_precision(wanted: Literal["auto", "bf16", "float32"], device: torch.device) -> Precision:
    """`wanted`, where it says; else bf16 on hardware that multiplies it natively, float32 elsewhere.

    Emulated bf16 (an AVX2 CPU) is slower than float32, so that it is never taken by itself.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _supports_bf16(device) else "float32"


def get_dtype(precision: Precision) -> torch.dtype:
    """The dtype that frozen weights are held in."""
    import torch

    return torch.bfloat16 if precision == "bf16" else torch.float32


def _supports_bf16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return False
