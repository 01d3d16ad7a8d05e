"""The token sequences that a constrained generation may write, as a tree of their common beginnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from tuneoff.models.decoding import Adjust

Node = dict[int, "Node"]  # the tokens that may follow, and what may follow each of them


class TokenTrie:
    """A set of token sequences, each of which ends with an end token.

    Args:
        sequences: token ids. Since each has its end token, one may be the beginning of another, as C is of C++.

    Raises:
        ValueError: there are no sequences, or one of them is empty.
    """

    def __init__(self, sequences: Iterable[Sequence[int]]) -> None:
        self._root: Node = {}
        for sequence in sequences:
            if not sequence:
                raise ValueError("a sequence to choose from has no tokens")
            node = self._root
            for token in sequence:
                node = node.setdefault(token, {})
        if not self._root:
            raise ValueError("there are no sequences to choose from")

    def list_next(self, beginning: Iterable[int]) -> list[int]:
        """List the tokens that may follow a beginning; empty after a complete sequence and after any other text."""
        node = self._root
        for token in beginning:
            if token not in node:
                return []
            node = node[token]
        return list(node)


def build_constraint(trie: TokenTrie, pad: int) -> Adjust:
    """Return a function that makes all tokens impossible but those that continue a sequence.

    Args:
        pad: id of the token for rows whose sequence is complete.
    """

    def keep_allowed(logits_RV: Tensor, tokens_RN: Tensor, _: Tensor) -> Tensor:
        masked_RV = torch.full_like(logits_RV, -torch.inf)
        for row, beginning in enumerate(tokens_RN.tolist()):
            allowed = trie.list_next(beginning) or [pad]
            masked_RV[row, allowed] = logits_RV[row, allowed]
        return masked_RV

    return keep_allowed
