"""Whether a tuned model, as it is served, is the base model's network with other weights.

If it is, both cost the same for each token, and a measured difference is noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from tuneoff.models.language_model import LanguageModel


def is_same_network(served: LanguageModel, base: LanguageModel) -> bool:
    """Return whether two models run the same code on tensors of the same shapes.

    Their modules must have the same names and types, their parameters and buffers the same shapes and dtypes. Anything
    that a method can add counts as a difference: a wrapper, a module, a hook, or a function replaced on one module.
    A tensor shared by two modules may be two equal ones, as after a tied head was untied.
    """
    if served.outer_adapter or served.split_head != base.split_head:
        return False
    return list(_describe_modules(served.network)) == list(_describe_modules(base.network))


def _describe_modules(network: nn.Module) -> Iterator[tuple[object, ...]]:
    for name, module in network.named_modules(remove_duplicate=False):
        tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        yield (
            name,
            type(module),
            [(of_tensor, tensor.shape, tensor.dtype) for of_tensor, tensor in tensors],
            len(module._forward_hooks) + len(module._forward_pre_hooks),
            _list_replaced_functions(module),
        )


def _list_replaced_functions(module: Any) -> list[str]:  # Any: a module may have any attributes
    """Return the names of the class's functions that hide behind an attribute of the instance."""
    return [name for name in vars(module) if callable(getattr(type(module), name, None))]
