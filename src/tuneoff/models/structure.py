"""The structure of a transformers model: its blocks, its head and its layers by kind.

It is found from the tree of modules and from what transformers' architectures have in common, so that a new one needs
no entry in a list. `network` is transformers' own model in every function, with whatever adapters act inside it.
"""

from __future__ import annotations

import re
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers.pytorch_utils import Conv1D

from tuneoff.models.quantisation import is_quantised


def get_head(network: Any) -> nn.Module:
    """Return the module that turns the trunk's output into logits."""
    return cast(nn.Module, network.get_output_embeddings())


def find_blocks(network: Any) -> nn.ModuleList:
    """Return the transformer blocks, from the first to the last: the list with the most modules in it."""
    lists = (module for module in network.modules() if isinstance(module, nn.ModuleList))
    return max(lists, key=lambda module: sum(1 for _ in module.modules()))


def has_tied_head(network: Any) -> bool:
    """Return whether the head and the input embedding share one weight."""
    return get_head(network).weight is network.get_input_embeddings().weight


def trains_input_embedding(network: Any) -> bool:
    """Return whether a training step changes the input embedding."""
    return bool(network.get_input_embeddings().weight.requires_grad)


def untie_head(network: Any) -> None:
    """Give the head its own copy of the weight that it shares with the input embedding."""
    head = get_head(network)
    head.weight = nn.Parameter(cast(Tensor, head.weight).detach().clone())
    network.config.tie_word_embeddings = False


def find_linears(network: Any) -> dict[str, Any]:
    """Return the linear layers inside the blocks, by full name."""
    inside = set(find_blocks(network).modules())
    return {name: module for name, module in network.named_modules() if is_linear(module) and module in inside}


def is_linear(module: nn.Module) -> bool:
    """Return whether a module is a linear layer of torch or transformers, or a quantised one."""
    return isinstance(module, nn.Linear | Conv1D) or is_quantised(module)


def find_attention_linears(network: Any) -> list[str]:
    """Return the full names of the linear layers inside attention modules."""
    return [name for name in find_linears(network) if "attn" in name.lower().replace("attention", "attn")]


def find_norms(network: Any) -> list[str]:
    """Return the full names of the normalization layers that have weights.

    Each architecture has its own class, so the name of the class decides.
    """
    return [
        name for name, module in network.named_modules() if _is_norm(module) and any(True for _ in module.parameters())
    ]


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__ and not any(True for _ in module.children())


def find_keys_and_values(network: Any) -> list[str]:
    """Return the full names of the linear layers that compute keys or values, alone or with the queries."""
    return [name for name in find_linears(network) if _KEYS_OR_VALUES.search(_name_layer(name)) and not is_in_mlp(name)]


def find_down_projections(network: Any) -> list[str]:
    """Return the full names of the linear layers with which MLPs go back to the width of the hidden states."""
    width = network.config.hidden_size
    sizes = {name: get_sizes(linear) for name, linear in find_linears(network).items()}
    of_blocks = set(find_blocks(network).children())
    directly_in_block = {
        f"{name}.{child}"
        for name, module in network.named_modules()
        if module in of_blocks
        for child in module._modules
    }
    return [
        name
        for name, (inputs, outputs) in sizes.items()
        if outputs == width and inputs != width and (is_in_mlp(name) or name in directly_in_block)
    ]


def find_mlp(block: Any) -> Any:  # Any: torch types a module's attributes as a tensor or a module
    """Return the module of a block whose output is that of the MLP: the MLP, or its last layer.

    In a block without an MLP, it is the last module that is no norm, such as the mixer of a state-space model.

    Raises:
        ValueError: the block has no such module.
    """
    children = [(name, child) for name, child in block.named_children() if _has_matrix(child)]
    mlps = [child for name, child in children if _MLP.search(f"{name} {type(child).__name__}")]
    if not children:
        raise ValueError(f"a {type(block).__name__} has no module with weights that is no norm")
    mlp = mlps[-1] if mlps else children[-1][1]
    while isinstance(mlp, nn.Sequential):  # whatever is added to it would become one of its steps
        mlp = mlp[-1]
    return mlp


def find_adaptable_linears(network: Any) -> tuple[list[str], list[str]]:
    """Return the full names of the linear layers that a low-rank update can be added to, and of those it cannot.

    The head is in neither list. Not adaptable are layers that return something else than a matrix product, such as a
    router's choice, and layers of a state-space mixer whose weight a fused kernel uses without a call of the layer.
    """
    modules = dict(network.named_modules())
    head = get_head(network)
    linears = [name for name, module in modules.items() if is_linear(module) and module is not head]
    adaptable = [
        name
        for name in linears
        if _is_matrix_product(modules[name])
        and not (_name_layer(name) in _FUSED and _is_in_state_space_mixer(name, modules))
    ]
    return adaptable, [name for name in linears if name not in set(adaptable)]


def holds_experts_as_one_parameter(network: Any) -> bool:
    """Return whether the weights of several experts are one tensor, and not linear layers."""
    return bool(find_experts_in_one_parameter(network))


def find_experts_in_one_parameter(network: Any) -> list[str]:
    """Return the full names of the parameters that are the weights of several experts, (E, I, O) or (E, O, I)."""
    return [
        f"{name}.{of_tensor}"
        for name, module in network.named_modules()
        if _EXPERTS.search(f"{name} {type(module).__name__}")
        for of_tensor, parameter in module.named_parameters(recurse=False)
        if parameter.ndim > 2
    ]


def is_in_mlp(name: str) -> bool:
    """Return whether a layer is in an MLP, by its full name."""
    return bool(_MLP.search(name.rpartition(".")[0]))


def _has_matrix(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())


def _name_layer(name: str) -> str:
    """Return the last part of a module's name; that before it if the last one says nothing."""
    *others, last = name.split(".")
    return others[-1] if last == "linear" and others else last


def _is_in_state_space_mixer(name: str, modules: dict[str, nn.Module]) -> bool:
    return any(isinstance(child, nn.Conv1d) for child in modules[name.rpartition(".")[0]].children())


def _is_matrix_product(linear: Any) -> bool:
    """Return whether a linear layer with a forward pass of its own returns what a plain one would, by its shape."""
    if type(linear).forward in _FORWARDS or is_quantised(linear):
        return True
    inputs, outputs = get_sizes(linear)
    with FakeTensorMode(allow_non_fake_inputs=True):
        try:
            output = linear(torch.zeros(1, 1, inputs, dtype=linear.weight.dtype, device=linear.weight.device))
        except Exception:  # the models' own code raises all types of errors
            return False
        return isinstance(output, Tensor) and output.shape == (1, 1, outputs)


def get_sizes(linear: Any) -> tuple[int, int]:  # Any: torch's and transformers' linear layers
    """Return the number of inputs and of outputs. A quantised weight is packed, so its shape does not say it."""
    if hasattr(linear, "in_features"):
        return linear.in_features, linear.out_features
    rows, columns = linear.weight.shape
    return rows, columns  # of a Conv1D


_FORWARDS = (nn.Linear.forward, Conv1D.forward)
_FUSED = {"out_proj", "dt_proj"}
_MLP = re.compile(r"mlp|ffn|feed_?forward|(^|[._ ])ff[._ ]|moe|expert", re.IGNORECASE)
_EXPERTS = re.compile(r"expert", re.IGNORECASE)
_KEYS_OR_VALUES = re.compile(r"(^|_)w?(q?kv|k|v|key|value)(_|$)(?!a_proj)|query_key_value|c_attn", re.IGNORECASE)
