"""Tiny tuned models, one for each way in which a method changes what generation must do."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tuneoff.methods import read_method
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]
WAYS: dict[str, dict[str, Any]] = {
    "base": {},
    "lora": {},
    "adapter": {},
    "prefix": {},
    "soft-prompt": {},
    "peft": {"peft_type": "CARTRIDGE"},  # only the network's own `generate` applies it
}


def load_tuned(load_tiny: Load, architecture: str, method: str) -> LanguageModel:
    """Return a tiny model with a method applied, whose random parameters act."""
    torch.manual_seed(0)
    model = read_method(method, WAYS[method]).apply(load_tiny(architecture)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    return model


def make_prompts(lengths: tuple[int, ...] = (14, 10, 12, 14, 4, 7), seed: int = 5) -> tuple[Tensor, Tensor]:
    """Return prompts of these lengths, padded on the left, and their attention mask."""
    shape = len(lengths), max(lengths)
    tokens_BT = torch.randint(2, 320, shape, generator=torch.Generator().manual_seed(seed))
    attention_BT = (torch.arange(shape[1])[None] >= shape[1] - torch.tensor(lengths)[:, None]).long()
    return tokens_BT.where(attention_BT.bool(), 1), attention_BT


def list_prompts_alone(prompts: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return each prompt as a batch of its own, without padding."""
    return [(row[mask.bool()][None], mask[mask.bool()][None]) for row, mask in zip(*prompts, strict=True)]
