"""GPT-Neo's attention through PyTorch's fused kernels. transformers implements only the eager one.

Importing this module registers it under "sdpa", transformers' name for fused kernels, which makes it the default.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.gpt_neo import modeling_gpt_neo


class GPTNeoSdpaAttention(modeling_gpt_neo.GPTNeoSelfAttention):  # type: ignore[misc]  # transformers is not typed for us
    """GPT-Neo's attention, without scaling and within the layer's window, that does not store the scores.

    Shapes: Q queries, K keys.
    """

    def _attn(
        self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        queries, keys = query.shape[-2], key.shape[-2]
        sees_all_keys = self.attention_type == "global" or keys <= self.config.window_size
        if attention_mask is None and sees_all_keys and queries in (1, keys):
            return self.attend(query, key, value, None, is_causal=queries > 1), None
        return self.attend(query, key, value, self.make_mask(queries, keys, attention_mask)), None

    def make_mask(self, queries: int, keys: int, attention_mask: Tensor | None) -> Tensor:
        """Return which keys the last queries see, (B, 1, Q, K): none ahead, outside the window, or at padding.

        Args:
            attention_mask: transformers' own, (B, 1, Q, K), with true or zero where a query sees a key.
        """
        causal_11QK: Tensor = self.bias[:, :, keys - queries : keys, :keys]
        if attention_mask is None:
            return causal_11QK
        return causal_11QK & (attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, is_causal: bool = False
    ) -> Tensor:
        """Return the attention's output, (B, H, Q, D), for queries, keys and values of the shape (B, H, ., D)."""
        dropout = self.attn_dropout.p if self.training else 0.0
        return functional.scaled_dot_product_attention(
            query, key.to(query.dtype), value.to(query.dtype), mask, dropout, is_causal, scale=1.0
        ).to(value.dtype)


modeling_gpt_neo.GPT_NEO_ATTENTION_CLASSES["sdpa"] = GPTNeoSdpaAttention
modeling_gpt_neo.GPTNeoPreTrainedModel._supports_sdpa = True
