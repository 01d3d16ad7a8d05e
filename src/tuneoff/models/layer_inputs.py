"""What goes into some layers of a network while it reads text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def watch_inputs(layers: Mapping[str, nn.Module], see: Callable[[str, Tensor], None]) -> Iterator[Mapping[str, str]]:
    """Call `see` inside the block with the name of a layer and its input in float32, (N, I), at each call.

    Layers that get the same tensor one after the other, such as those for queries, keys and values, are seen as the
    first of them, once.

    Yields:
        As whose input that of each layer was seen. A layer without any input, such as an expert that no token was sent
        to, is missing.
    """
    seen_as: dict[str, str] = {}
    last: list[Tensor] = []  # the input seen last, itself: a freed one could have its id again
    first: list[str] = []  # the layer that it was seen as that of

    def make_hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if last and inputs[0] is last[0]:
                seen_as.setdefault(name, first[0])
                return
            last[:], first[:] = [inputs[0]], [seen_as.setdefault(name, name)]
            with torch.autocast(inputs[0].device.type, enabled=False):  # what is computed from it is not to be rounded
                see(first[0], inputs[0].detach().flatten(0, -2).float())

        return hook

    handles = [layer.register_forward_pre_hook(make_hook(name)) for name, layer in layers.items()]
    try:
        yield seen_as
    finally:
        for handle in handles:
            handle.remove()
