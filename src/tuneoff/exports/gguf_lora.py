"""A LoRA adapter as GGUF, which llama.cpp applies to a GGUF file of the base model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from tuneoff.errors import RunError
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.readers import TransformersReader, list_ends

if TYPE_CHECKING:
    import numpy as np

FILE = "adapter.gguf"
ARCHITECTURE = "llama"  # the one whose tensors' order was compared with llama.cpp itself


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Write the adapter's matrices under llama.cpp's names.

    Raises:
        RunError: this is no LoRA, or the architecture's order of rows is not known.
    """
    import gguf

    layers = list(_iterate_layers(exportable))
    if not layers:
        raise RunError(f"{exportable.label} is no LoRA. Export it with --as gguf, which merges it.")
    config = exportable.model.base.config
    if config.model_type != ARCHITECTURE:
        raise RunError(
            f"--as gguf-lora knows the tensors of {ARCHITECTURE} models, and this one is {config.model_type}. "
            "Export it with --as gguf, which merges it."
        )
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    writer = gguf.GGUFWriter(str(folder / FILE), ARCHITECTURE)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(layers[0].rank))
    for layer in layers:
        if layer.rank != layers[0].rank:
            raise RunError(f"{exportable.label} has several ranks, and GGUF has one. Export it with --as gguf.")
        name = names.get_name(layer.name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(f"{name}.weight.lora_a", _to_numpy(layer.down_RD))
        # llama.cpp multiplies with alpha / rank, which is one here: the layer's own factor is in its second matrix
        writer.add_tensor(f"{name}.weight.lora_b", _to_numpy(_order_rows(layer, config)(layer.scale * layer.up_HR)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class _Layer:
    """The adapter of one linear layer: x -> x + scale * up (down x)."""

    def __init__(self, name: str, module: Any, adapter: str) -> None:
        self.name = name
        self.down_RD: Tensor = module.lora_A[adapter].weight.detach().float()
        self.up_HR: Tensor = module.lora_B[adapter].weight.detach().float()
        self.scale: float = module.scaling[adapter]
        self.rank = len(self.down_RD)


def _iterate_layers(exportable: Exportable) -> Iterator[_Layer]:
    """Yield the layers with a plain LoRA, by their names in the base model."""
    from peft.tuners.lora import LoraLayer

    for name, module in exportable.model.base.named_modules():
        if isinstance(module, LoraLayer):
            for adapter in module.active_adapters:
                if module.lora_variant.get(adapter) is not None or adapter not in module.lora_A:
                    raise RunError(
                        f"{exportable.label} is more than a plain LoRA. Export it with --as gguf, which merges it."
                    )
                yield _Layer(name, module, adapter)


def _order_rows(layer: _Layer, config: Any) -> Callable[[Tensor], Tensor]:
    """Return a function that orders the rows of a query or key as llama.cpp stores them.

    llama.cpp rotates neighboring pairs where transformers rotates the two halves of a head. Source: `permute` of
    conversion/llama.py in llama.cpp.
    """
    is_query, is_key = layer.name.endswith("q_proj"), layer.name.endswith("k_proj")
    if not (is_query or is_key):
        return lambda rows: rows
    heads = config.num_attention_heads if is_query else config.num_key_value_heads

    def interleave(rows_HR: Tensor) -> Tensor:
        return rows_HR.view(heads, 2, -1, rows_HR.shape[1]).transpose(1, 2).reshape(rows_HR.shape)

    return interleave


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.contiguous().numpy()


def read(exportable: Exportable, folder: Path) -> TransformersReader:
    """Add the file's matrices to the base model's weights, with llama.cpp's order of rows undone."""
    import gguf

    network = AutoModelForCausalLM.from_pretrained(exportable.source.folder, dtype=torch.float32, use_safetensors=True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, network.config.num_hidden_layers)
    stored = {t.name: torch.tensor(t.data).float() for t in gguf.GGUFReader(folder / FILE).tensors}
    for name, module in network.named_modules():
        known = names.get_name(name, try_suffixes=(".weight",)) if isinstance(module, torch.nn.Linear) else None
        if f"{known}.weight.lora_a" in stored:
            up_HR = stored[f"{known}.weight.lora_b"]
            if found := re.search(r"\.([qk])_proj$", name):
                heads = {"q": network.config.num_attention_heads, "k": network.config.num_key_value_heads}[found[1]]
                up_HR = up_HR.view(heads, -1, 2, up_HR.shape[1]).transpose(1, 2).reshape(up_HR.shape)
            module.weight.data += up_HR @ stored[f"{known}.weight.lora_a"]
    return TransformersReader(network=network.eval(), ends=list_ends(exportable.model))


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return the command that applies the file to a GGUF file of the base model."""
    return (
        f"With a GGUF file of {exportable.model.known_as}:\n\n"
        f"```\nllama-server --model BASE.gguf --lora {folder}/{FILE}\n```"
    )


GGUF_LORA = Format(
    name="gguf-lora",
    summary="A LoRA adapter for llama.cpp, applied to a GGUF file of the base model.",
    write=write,
    read=read,
    usage=describe_usage,
    base="files",
)
