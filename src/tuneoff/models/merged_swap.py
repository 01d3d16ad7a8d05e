"""One set of weights that is the base model with one LoRA at a time merged, and goes from one to the next in place.

A merged LoRA costs nothing per token, and going to another one costs two small matrix products for each layer: the old
update is subtracted and the new one added. Each rounds, so the weights drift. In float32 the drift of a thousand swaps
is below one rounding of bfloat16; in bfloat16 it is not, so there the original weights are kept and copied back.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tuneoff.errors import ModelError

PREFIX, DOWN, UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"  # of the names in peft's files


@dataclass(frozen=True, kw_only=True)
class LowRankUpdate:
    """What a LoRA adds to one weight: scale * up @ down."""

    down_RI: Tensor
    up_OR: Tensor
    scale: float

    def add_to(self, weight: Tensor, sign: float, *, transposed: bool) -> None:
        """Add the update, (O, I), to a weight in place, or subtract it; (I, O) if the layer stores it transposed."""
        up, down = self.up_OR.to(weight), self.down_RI.to(weight)
        first, second = (down.T, up.T) if transposed else (up, down)
        weight.addmm_(first, second, alpha=sign * self.scale)


Updates = Mapping[str, LowRankUpdate]  # by the name of the layer in transformers' model


def read_low_rank_updates(folder: Path) -> dict[str, LowRankUpdate]:
    """Read the updates of a LoRA in peft's format.

    Raises:
        ModelError: this is no plain LoRA: it is DoRA, trains biases or whole modules, or is of another type.
    """
    from peft import PeftConfig
    from peft.utils import SAFETENSORS_WEIGHTS_NAME
    from peft.utils.other import get_pattern_key
    from safetensors.torch import load_file

    from tuneoff.models.safe_weights import require_safe_adapter

    require_safe_adapter(folder)
    config: Any = PeftConfig.from_pretrained(folder)  # Any: peft's configs are not typed
    tensors = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    names = [name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)]
    if config.peft_type != "LORA" or set(tensors) != {name + part for name in names for part in (DOWN, UP)}:
        raise ModelError(f"{folder} is no plain LoRA, so it cannot be added to weights and taken away again.")
    updates = {}
    for name in names:
        layer, rank = name.removeprefix(PREFIX), len(tensors[name + DOWN])
        alpha = config.alpha_pattern.get(get_pattern_key(config.alpha_pattern, layer), config.lora_alpha)
        scale = alpha / (math.sqrt(rank) if config.use_rslora else rank)
        updates[layer] = LowRankUpdate(down_RI=tensors[name + DOWN], up_OR=tensors[name + UP], scale=scale)
    return updates


class MergedSwap:
    """A model in whose weights one LoRA at a time is merged.

    Args:
        network: transformers' model, whose weights are changed in place. It must not be used elsewhere.
        load: returns the updates of a LoRA by its name.
        capacity: how many LoRA stay in memory; the one that was not used for longest is loaded again when it is needed.
        keep_original: keep the weights that a LoRA changes, so that nothing drifts. By default unless they are float32.
    """

    def __init__(
        self,
        network: nn.Module,
        load: Callable[[str], Updates],
        *,
        capacity: int = 8,
        keep_original: bool | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, and at least one LoRA must stay in memory")
        self.current: str | None = None  # the LoRA that is merged; None: the base model
        self._network, self._load, self._capacity = network, load, capacity
        self._loaded: OrderedDict[str, Updates] = OrderedDict()
        self._keeps_original = keep_original
        self._originals: dict[str, Tensor] = {}

    @property
    def loaded(self) -> tuple[str, ...]:
        """The LoRA in memory, the last used one last."""
        return tuple(self._loaded)

    @property
    def original_bytes(self) -> int:
        """The memory of the original weights that are kept."""
        return sum(weight.nbytes for weight in self._originals.values())

    @torch.no_grad()
    def swap_to(self, name: str | None) -> None:
        """Merge another LoRA in place of the current one; None: back to the base model.

        Raises:
            ModelError: the LoRA changes a layer that the model does not have. The model stays as it was.
        """
        if name == self.current:
            return
        new = self._get(name) if name is not None else {}
        layers = {layer: self._find(layer, update) for layer, update in new.items()}
        if self.current is not None:
            for layer, update in self._loaded[self.current].items():
                self._take_away(layer, update)
        for layer, module in layers.items():
            if self._must_keep(module):
                self._originals.setdefault(layer, module.weight.detach().clone())
            new[layer].add_to(module.weight, 1.0, transposed=_is_transposed(module))
        self.current = name
        self._drop_unused()

    def _take_away(self, layer: str, update: LowRankUpdate) -> None:
        module = self._find(layer, update)
        if layer in self._originals:
            module.weight.copy_(self._originals[layer])
        else:
            update.add_to(module.weight, -1.0, transposed=_is_transposed(module))

    def _must_keep(self, module: Any) -> bool:
        return bool(module.weight.dtype != torch.float32 if self._keeps_original is None else self._keeps_original)

    def _find(self, layer: str, update: LowRankUpdate) -> Any:  # Any: torch's and transformers' linear layers
        try:
            module: Any = self._network.get_submodule(layer)
            shape = (update.up_OR.shape[0], update.down_RI.shape[1])
            fits = tuple(module.weight.shape) == (shape[::-1] if _is_transposed(module) else shape)
        except AttributeError:
            fits = False
        if not fits:
            raise ModelError(f"The LoRA changes {layer}, which this model does not have in this shape.")
        return module

    def _get(self, name: str) -> Updates:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def _drop_unused(self) -> None:
        """Keep as many LoRA as there is space for, and always the merged one, which must be taken away again."""
        for name in [name for name in self._loaded if name != self.current]:
            if len(self._loaded) <= self._capacity:
                return
            del self._loaded[name]


def _is_transposed(module: Any) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)
