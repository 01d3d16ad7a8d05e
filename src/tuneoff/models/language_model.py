"""A causal language model that computes logits only for the scored positions.

A usual forward pass computes logits for every position. For a small model with a large vocabulary, that is most of its
work and memory. Here the trunk runs over all positions, and a hook narrows the input of the output head. Whatever
follows the head (soft-capping, scaling) acts on each logit alone, so the model's own code still does it, and adapters
in the trunk need no special care. `can_split_head` tests whether this holds for a given model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Self, cast

from torch import Tensor, nn

from tuneoff.models.cross_entropy import cross_entropy
from tuneoff.models.frozen_prefix import PrefixOutput, count_frozen_blocks, run_frozen_prefix, skip_frozen_prefix
from tuneoff.models.outer_adapter import OuterAdapter
from tuneoff.models.quantisation import move_states
from tuneoff.models.structure import find_blocks, get_head

Select = Callable[[Tensor], Tensor]


class LanguageModel(nn.Module):
    """A base model or a tuned one, and its tokenizer.

    Args:
        network: a causal language model of transformers, or a wrapper around one.
        tokenizer: its tokenizer, with a pad token.
        known_as: the base model's name, which saved adapters refer to.
        split_head: whether the head can be computed for the scored positions alone; see `can_split_head`.
        outer_adapter: how to use `network` if it is a wrapper; None for transformers' own model.
    """

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        known_as: str,
        *,
        split_head: bool,
        outer_adapter: OuterAdapter | None = None,
    ) -> None:
        super().__init__()
        self.network = network  # Any: transformers' models and their wrappers have no common type
        self.tokenizer = tokenizer
        self.known_as = known_as
        self.split_head = split_head
        self.outer_adapter = outer_adapter
        self.generates_together: bool | None = None  # see `generates_rows_together`; None: not known yet
        self.blocks_return_tuples = False  # known after the first call of `trunk`

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert the model, with what quantised layers hold beside their parameters."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # of PyTorch
        move_states(self)
        return self

    def with_network(self, network: Any, outer_adapter: OuterAdapter | None = None) -> LanguageModel:
        """Return a model with another network and everything else the same."""
        return LanguageModel(
            network, self.tokenizer, self.known_as, split_head=self.split_head, outer_adapter=outer_adapter
        )

    def forward(
        self, tokens_BT: Tensor, attention_BT: Tensor, scored_BT: Tensor, trunk_ND: Tensor | None = None
    ) -> Tensor:
        """Return the nats of each of the N scored tokens, (N,), row by row, in float32; see `logits`."""
        return cross_entropy(self.logits(tokens_BT, attention_BT, scored_BT, trunk_ND), tokens_BT[scored_BT])

    def logits(
        self, tokens_BT: Tensor, attention_BT: Tensor, scored_BT: Tensor, trunk_ND: Tensor | None = None
    ) -> Tensor:
        """Return the logits, (N, V), that predict each of the N scored tokens, row by row.

        Args:
            tokens_BT: token ids, padded on the right.
            attention_BT: true for a token, false for padding.
            scored_BT: true where a token is to be predicted; the first token of a row cannot be.
            trunk_ND: the result of `trunk` for these rows, to skip the frozen part of the network.
        """
        predicting_BT = scored_BT[:, 1:]  # a token is predicted from the position before it

        def select_predicting(positions_BTX: Tensor) -> Tensor:
            """Drop a soft prompt's positions, then keep those that predict a scored token."""
            return positions_BTX[:, -tokens_BT.shape[1] :][:, :-1][predicting_BT]

        with contextlib.ExitStack() as stack:
            select: Select = select_predicting
            if trunk_ND is not None:
                hidden_BTD, select = self._restore_shape(trunk_ND, attention_BT, select_predicting)
                output = PrefixOutput(hidden_BTD, self.blocks_return_tuples)
                stack.enter_context(skip_frozen_prefix(self.base, self.frozen_blocks, output))
            if self.split_head:
                stack.enter_context(self.narrow_head(select))
            logits = self.network(
                input_ids=tokens_BT,
                attention_mask=attention_BT.long(),
                use_cache=False,
                **self.make_adapter_inputs(len(tokens_BT)),
            ).logits
        return cast(Tensor, logits if self.split_head else select(logits))

    def trunk(self, tokens_BT: Tensor, attention_BT: Tensor, scored_BT: Tensor) -> Tensor:
        """Return the output of the network's frozen part, (N, D).

        If only the head is trained, N are the positions that predict the scored tokens; otherwise all but padding.
        """
        output = run_frozen_prefix(
            self.base, self.frozen_blocks, lambda: self.logits(tokens_BT, attention_BT, scored_BT)
        )
        self.blocks_return_tuples = output.blocks_return_tuples
        if self.frozen_blocks < len(self.blocks):
            return output.hidden_BTD[attention_BT.bool()]
        return output.hidden_BTD[:, :-1][scored_BT[:, 1:]]

    def _restore_shape(
        self, trunk_ND: Tensor, attention_BT: Tensor, select_predicting: Select
    ) -> tuple[Tensor, Select]:
        """Return the result of `trunk` as the network expects it, (B, T, D), and which positions the head takes."""
        if self.frozen_blocks == len(self.blocks):
            return trunk_ND[None], lambda hidden_1ND: hidden_1ND[0]
        hidden_BTD = trunk_ND.new_zeros(*attention_BT.shape, trunk_ND.shape[1])
        hidden_BTD[attention_BT.bool()] = trunk_ND
        return hidden_BTD, select_predicting

    @contextlib.contextmanager
    def narrow_head(self, select: Select) -> Iterator[None]:
        """Hand the head only those of its inputs that `select` returns."""
        hook = self.head.register_forward_pre_hook(lambda _, inputs: (select(inputs[0]), *inputs[1:]))
        try:
            yield
        finally:
            hook.remove()

    def make_adapter_inputs(self, rows: int) -> dict[str, Tensor]:
        """Return the further inputs that an outer adapter needs in each forward pass."""
        return self.outer_adapter.make_inputs(self.network, rows) if self.outer_adapter else {}

    def compute_prompt(self) -> Tensor | None:
        """Return the soft prompt's vectors, (P, D), or None without a soft prompt."""
        if self.outer_adapter is None or self.outer_adapter.compute_prompt is None:
            return None
        return self.outer_adapter.compute_prompt(self.network)

    @property
    def base(self) -> Any:  # Any: whatever model class transformers has for this architecture
        """transformers' own model, with whatever adapters act inside it."""
        return self.outer_adapter.get_base(self.network) if self.outer_adapter else self.network

    @property
    def head(self) -> nn.Module:
        """The module that turns the trunk's output into logits."""
        return get_head(self.base)

    @property
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, from the first to the last."""
        return find_blocks(self.base)

    @property
    def width(self) -> int:
        """The size of a hidden state."""
        return int(self.base.config.hidden_size)

    @property
    def frozen_blocks(self) -> int:
        """How many blocks stay the same in training, from the first one; all of them if only the head is trained.

        Zero with an outer adapter, which may change what enters the first block.
        """
        return 0 if self.outer_adapter else count_frozen_blocks(self.base, split_head=self.split_head)
