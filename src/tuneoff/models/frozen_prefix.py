"""The frozen prefix of a network: the part before the lowest trained block, or before the head.

Its output for a given input never changes in training, so computing it once is enough. The output is what enters the
lowest trained block or the head. From there the network's own code continues: for one call, the frozen modules return
the known output instead of computing it. `can_reuse_trunk` tests whether this works for a given model.

Shapes: B batch, T tokens, N positions, D width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from tuneoff.models.structure import find_blocks, get_head, trains_input_embedding


def count_frozen_blocks(network: Any, *, split_head: bool) -> int:
    """Return how many blocks, from the first one, stay the same in training, together with all that precedes them.

    All of them means that only the head is trained. The result is zero with dropout, and when a parameter before the
    blocks or between the blocks and the head is trained.

    Args:
        network: transformers' model.
        split_head: whether the head can be computed for the scored positions alone.
    """
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    blocks = [{id(p) for p in block.parameters()} for block in find_blocks(network)]
    head = {id(p) for p in get_head(network).parameters()}
    config = vars(network.config).items()
    has_dropout = any(v for name, v in config if "drop" in name and "class" not in name and "summary" not in name)
    if not trained <= head.union(*blocks) or trains_input_embedding(network) or has_dropout:
        return 0
    lowest = next((k for k, block in enumerate(blocks) if block & trained), len(blocks))
    return lowest if lowest < len(blocks) or (trained and split_head) else 0


@dataclass(frozen=True)
class PrefixOutput:
    """What the frozen prefix of a network returned for one batch.

    Args:
        hidden_BTD: what enters the lowest trained block or the head.
        blocks_return_tuples: whether the network's blocks return a tuple rather than a tensor.
    """

    hidden_BTD: Tensor
    blocks_return_tuples: bool


def run_frozen_prefix(network: Any, frozen_blocks: int, run: Callable[[], object]) -> PrefixOutput:
    """Return the output of the first `frozen_blocks` blocks while `run` runs the network, then stop the pass.

    With all blocks frozen, return what enters the head.
    """
    blocks = find_blocks(network)
    hidden_states: list[Tensor] = []
    returned_tuple: list[bool] = []

    def note_type(_: nn.Module, __: Any, output: Any) -> None:
        returned_tuple.append(isinstance(output, tuple))

    def stop(_: nn.Module, inputs: tuple[Any, ...], named_inputs: dict[str, Any]) -> None:
        hidden_states.append(inputs[0] if inputs else named_inputs["hidden_states"])
        raise _PrefixDoneError

    entry = get_head(network) if frozen_blocks == len(blocks) else blocks[frozen_blocks]
    hooks = [blocks[0].register_forward_hook(note_type), entry.register_forward_pre_hook(stop, with_kwargs=True)]
    try:
        run()
    except _PrefixDoneError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return PrefixOutput(hidden_states[0], blocks_return_tuples=any(returned_tuple))


@contextlib.contextmanager
def skip_frozen_prefix(network: Any, frozen_blocks: int, output: PrefixOutput) -> Iterator[None]:
    """Let the first `frozen_blocks` blocks return a known output without computing it."""
    blocks = find_blocks(network)
    substitutes: dict[nn.Module, Callable[..., Any]] = {}
    if frozen_blocks == len(blocks):
        body = getattr(network, network.base_model_prefix)
        body_output = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=output.hidden_BTD)
        substitutes[body] = lambda *_, **__: body_output
    else:
        block_output = (output.hidden_BTD,) if output.blocks_return_tuples else output.hidden_BTD
        substitutes |= dict.fromkeys(blocks[:frozen_blocks], lambda *_, **__: block_output)
    for module, substitute in substitutes.items():
        module.forward = substitute  # on the instance, where it hides its class's
    try:
        yield
    finally:
        for module in substitutes:
            del module.forward


class _PrefixDoneError(Exception):
    """Ends a forward pass after the frozen prefix."""


@dataclass(frozen=True)
class TrunkOutputs:
    """The hidden states that enter the trained part of a model, for all rows of a split.

    Args:
        hidden_ND: the rows one after another, in the dtype of the forward pass.
        ends: the position after each row's last one.
        seconds: how long computing them took, now or in an earlier run.
    """

    hidden_ND: Tensor
    ends: Sequence[int]
    seconds: float

    def get_rows(self, rows: Sequence[int]) -> Tensor:
        """Return the hidden states of some rows, in their order, (N, D)."""
        starts = [0, *self.ends]
        return torch.cat([self.hidden_ND[starts[row] : self.ends[row]] for row in rows])
