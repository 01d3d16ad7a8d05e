"""GPT-Neo's attention through PyTorch's fused kernels; transformers has it eager only.

Importing this module registers it under transformers' name for such kernels, "sdpa", which is then the default.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.gpt_neo import modeling_gpt_neo as theirs


class GPTNeoSdpaAttention(theirs.GPTNeoSelfAttention):  # type: ignore[misc]  # transformers is not typed for us
    """The same scores, unscaled and in the layer's window, without writing them out."""

    def _attn(
        self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        asked, there = query.shape[-2], key.shape[-2]
        in_sight = self.attention_type == "global" or there <= self.config.window_size
        if attention_mask is None and in_sight and asked in (1, there):
            return self.attended(query, key, value, None, is_causal=asked > 1), None
        return self.attended(query, key, value, self.mask(asked, there, attention_mask)), None

    def mask(self, asked: int, there: int, attention_mask: Tensor | None) -> Tensor:
        """True where the last `asked` of `there` tokens look: not ahead, not beyond the window, not at padding.

        Args:
            attention_mask: transformers' own, (B, 1, asked, there), true or zero where a token may look.
        """
        seen: Tensor = self.bias[:, :, there - asked : there, :there]
        if attention_mask is None:
            return seen
        return seen & (attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0)

    def attended(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, is_causal: bool = False
    ) -> Tensor:
        """(B, H, T, D), for queries, keys and values of that shape."""
        dropout = self.attn_dropout.p if self.training else 0.0
        return functional.scaled_dot_product_attention(
            query, key.to(query.dtype), value.to(query.dtype), mask, dropout, is_causal, scale=1.0
        ).to(value.dtype)


theirs.GPT_NEO_ATTENTION_CLASSES["sdpa"] = GPTNeoSdpaAttention
theirs.GPTNeoPreTrainedModel._supports_sdpa = True
