"""Load the base model with the tensors in trained.safetensors, which stand beside this file.

Needs torch, transformers and safetensors only. Use it as:

    from load_trained import load
    model, tokenizer = load()
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

FOLDER = Path(__file__).parent


def load(base: str | None = None) -> tuple[Any, Any]:  # Any: the classes of transformers share no type
    """Return the tuned model in float32, and its tokenizer.

    Args:
        base: the base model, by default the one that this folder names.

    Raises:
        ValueError: the tensors do not belong to this base model.
    """
    base = base or json.loads((FOLDER / "base.json").read_text())["base"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tensors = load_file(FOLDER / "trained.safetensors")
    _untie_head(model, tensors)
    _add_bottlenecks(model, tensors)
    own = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name not in own or own[name].shape != tensor.shape:
            raise ValueError(f"{base} has no tensor {name} of shape {tuple(tensor.shape)}: this is another base model")
        own[name].data.copy_(tensor)
    return model.eval(), AutoTokenizer.from_pretrained(FOLDER)


def _untie_head(model: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Give the head its own weight if it was trained apart from the input embedding."""
    head = model.get_output_embeddings()
    name = next(name for name, module in model.named_modules() if module is head)
    if f"{name}.weight" in tensors and head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.weight.detach().clone())
        model.config.tie_word_embeddings = False


def _add_bottlenecks(model: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Add the bottlenecks after the blocks' MLPs, if any were trained."""
    for name, weight in tensors.items():
        found = re.fullmatch(r"(.*)\.bottleneck\.0\.weight", name)
        if found:
            mlp = model.get_submodule(found[1])
            width, hidden = weight.shape
            mlp.bottleneck = nn.Sequential(nn.Linear(hidden, width), nn.GELU(), nn.Linear(width, hidden))
            mlp.register_forward_hook(lambda mlp, _, output: output + mlp.bottleneck(output))
