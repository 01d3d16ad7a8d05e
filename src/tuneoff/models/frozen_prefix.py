"""The part of a network that a training leaves as it is: what it gives is the same at every step, so once is enough.

That part is everything before the lowest block that is trained, or everything before the head. What it gives is what
enters that block (or the head), and the network's own code goes on from there: for one call its frozen modules give
what is known already. Whether that is all the rest of the network asks for is probed, not assumed.

Shapes: N positions, D width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


def count_frozen_blocks(model: LanguageModel) -> int:
    """How many blocks stay the same in training, from the first on, with all that is before them.

    All of them means that the head alone is trained. None where anything drops out, or is trained before the blocks,
    between them and the head, or outside the network.
    """
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    blocks = [{id(p) for p in block.parameters()} for block in model.blocks]
    head = {id(p) for p in model.head.parameters()}
    config = vars(model.base.config).items()
    drops = any(v for name, v in config if "drop" in name and "class" not in name and "summary" not in name)
    if not trained <= head.union(*blocks) or model.trains_input_embedding or drops or model.network is not model.base:
        return 0
    lowest = next((k for k, block in enumerate(blocks) if block & trained), len(blocks))
    return lowest if lowest < len(blocks) or (trained and model.split_head) else 0


def run_frozen_prefix(model: LanguageModel, run: Callable[[], object]) -> Tensor:
    """What enters the lowest block that is trained, or the head, while `run` runs the model; it is not run further.

    Whether blocks give a tensor or a tuple is noted on the way, for `skipped`.
    """
    frozen = model.frozen_blocks
    entered: list[Tensor] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        model.blocks_give_tuples = isinstance(output, tuple)

    def enough(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        entered.append(inputs[0] if inputs else named["hidden_states"])
        raise _EnoughError

    entry = model.head if frozen == len(model.blocks) else model.blocks[frozen]
    hooks = [model.blocks[0].register_forward_hook(note), entry.register_forward_pre_hook(enough, with_kwargs=True)]
    try:
        run()
    except _EnoughError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return entered[0]


@contextlib.contextmanager
def skip_frozen_prefix(model: LanguageModel, given_BTD: Tensor) -> Iterator[None]:
    """Let the network's frozen part give what it gave before, without computing it."""
    frozen = model.frozen_blocks
    stand_ins: dict[nn.Module, Callable[..., Any]] = {}
    if frozen == len(model.blocks):
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        body = getattr(model.base, model.base.base_model_prefix)
        done = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=given_BTD)
        stand_ins[body] = lambda *_, **__: done
    else:
        output = (given_BTD,) if model.blocks_give_tuples else given_BTD
        stand_ins |= dict.fromkeys(model.blocks[:frozen], lambda *_, **__: output)
    for module, stand_in in stand_ins.items():
        module.forward = stand_in  # on the instance, before its class's
    try:
        yield
    finally:
        for module in stand_ins:
            del module.forward


class _EnoughError(Exception):
    """What was asked for is there; ends a forward pass."""


@dataclass(frozen=True)
class TrunkOutputs:
    """What enters the trained part of a model, for a split, row after row.

    Args:
        hidden_ND: all rows together, in the dtype in which it enters.
        ends: where each row's own end.
        seconds: what computing them took, whenever that was.
    """

    hidden_ND: Tensor
    ends: Sequence[int]
    seconds: float

    def of(self, rows: Sequence[int]) -> Tensor:
        """Those of some rows, in their order, (N, D)."""
        starts = [0, *self.ends]
        return torch.cat([self.hidden_ND[starts[row] : self.ends[row]] for row in rows])
