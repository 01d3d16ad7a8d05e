"""Which kinds of weights in a model's blocks a method leaves untouched: experts, convolutions, states, whole blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from tuneoff.models.language_model import LanguageModel
from tuneoff.models.structure import find_blocks

_ADAPTER_PARTS = re.compile(r"base_model\.model\.|\.base_layer|\.original_module")
_STATES = {"A_log", "dt_bias", "time_decay", "recurrent_param"}
_KINDS = {
    "experts": "the experts",
    "convolutions": "the convolutions",
    "states": "the parameters of recurrent states",
}
_CURES = {"experts": " (lora can, if need be with experts: true)"}


def describe_untouched(tuned: LanguageModel, base: LanguageModel) -> tuple[str, ...]:
    """Return a sentence for each kind of weights, and for the blocks, in which a method trains nothing.

    Empty for a method that trains nothing inside the blocks at all, such as a soft prompt or a new head.
    """
    trained = [_simplify(name) for name, p in tuned.base.named_parameters() if p.requires_grad]
    names = {id(block): name for name, block in base.base.named_modules()}
    blocks = [names[id(block)] for block in find_blocks(base.base)]
    empty = [number for number, block in enumerate(blocks) if not _is_any_inside(trained, block)]
    if len(empty) == len(blocks):
        return ()
    return (*_describe_kinds(base, trained), *_describe_blocks(empty, len(blocks)))


def _describe_kinds(base: LanguageModel, trained: list[str]) -> Iterator[str]:
    total = sum(parameter.numel() for parameter in base.parameters())
    for kind, places in _find_kinds(base.base).items():
        if not any(_is_trained(trained, place, kind) for place in places):
            share = sum(places.values()) / total
            yield f"trains nothing in {_KINDS[kind]}, which are {100 * share:.2g} % of the model{_CURES.get(kind, '')}"


def _is_trained(trained: list[str], parameter: str, kind: str) -> bool:
    """Return whether a parameter is trained, or an adapter beside it. A state has no module of its own."""
    module = parameter.rpartition(".")[0]
    return parameter in trained or (kind != "states" and _is_any_inside(trained, module))


def _describe_blocks(empty: list[int], count: int) -> Iterator[str]:
    if empty:
        shown = ", ".join(map(str, empty[:8])) + (", ..." if len(empty) > 8 else "")
        yield f"trains nothing in {len(empty)} of {count} blocks ({shown})"


def _find_kinds(network: Any) -> dict[str, dict[str, int]]:
    """Return the full names of the parameters of each kind, with their sizes."""
    kinds: dict[str, dict[str, int]] = {}
    for name, module in network.named_modules():
        for of_tensor, parameter in module.named_parameters(recurse=False):
            if kind := _find_kind(name, module, of_tensor):
                kinds.setdefault(kind, {})[f"{name}.{of_tensor}"] = parameter.numel()
    return kinds


def _find_kind(name: str, module: nn.Module, of_tensor: str) -> str | None:
    if isinstance(module, nn.Conv1d):
        return "convolutions"
    if "expert" in name and "shared_expert" not in name:
        return "experts"
    return "states" if of_tensor in _STATES else None


def _is_any_inside(trained: list[str], place: str) -> bool:
    """Return whether a trained tensor is in a module, by its name."""
    return any(name.startswith(f"{place}.") for name in trained)


def _simplify(name: str) -> str:
    """Return a parameter's name without the parts that peft's wrappers add to it."""
    return _ADAPTER_PARTS.sub("", name)
