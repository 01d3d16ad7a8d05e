"""Prefix tuning: learned keys and values before the text. Source: Li and Liang 2021, arXiv:2101.00190."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from tuneoff.config.limits import MOST_POSITIONS
from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Method, Rate
from tuneoff.methods.peft_adapter import write_adapter
from tuneoff.methods.soft_prompt import INIT_TEXT

if TYPE_CHECKING:
    import torch

    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.prefix_attention import Layers
    from tuneoff.models.row_changes import RowChanges

UNEQUAL = "prefix.safetensors"  # of layers that differ in shape


@final
class Prefix(Method):
    """Train the keys and values of `tokens` positions before the text, in the attention of every layer.

    By default they start as the keys and values of a real text: in the paper and in PEFT's benchmark, training from
    random ones is worse and less stable. Where the model's attention can be extended, this works with gradient
    checkpointing, which peft's own prefix does not support. The file format is peft's if all layers have one shape.
    """

    name: ClassVar[str] = "prefix"
    starts_as_base: ClassVar[bool] = False
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-3, high=5e-2), "tokens": (5, 12, 20, 50)}
    learning_rate: Rate = 5e-3
    tokens: int = Field(12, ge=1, le=MOST_POSITIONS)
    """Learned positions before the text, in every layer."""
    init: Literal["text", "random"] = "text"
    """Start as the keys and values of `init_text`, or at random."""
    init_text: str = Field(INIT_TEXT, min_length=1)
    """The text for `init: text`, repeated or cut to `tokens` tokens."""

    @property
    def context_tokens(self) -> int:
        return self.tokens

    def apply(self, base: LanguageModel) -> LanguageModel:
        from tuneoff.models.learned_prefix import add_prefix

        base.requires_grad_(False)
        text_tokens = base.tokenizer(self.init_text, add_special_tokens=False)["input_ids"]
        add_prefix(base.base, (text_tokens * self.tokens)[: self.tokens], random=self.init == "random")
        return base

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        from tuneoff.models.learned_prefix import get_prefix

        _write_prefix(get_prefix(tuned.base), tuned.known_as, folder)

    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        from tuneoff.models.learned_prefix import attach_prefix
        from tuneoff.models.safe_weights import require_safe_adapter

        require_safe_adapter(folder)
        base.requires_grad_(False)
        attach_prefix(base.base, _read_prefix(folder, base.base.device))
        return base

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        from tuneoff.models.learned_prefix import get_prefix
        from tuneoff.models.row_changes import RowChanges

        return RowChanges(prefix=get_prefix(tuned.base))


def _write_prefix(layers: Layers, known_as: str, folder: Path) -> None:
    """Write the prefix as peft does: one vector for each token, with the keys and values of all layers.

    peft has no format for layers that differ in shape, so they are written as they are.
    """
    import torch
    from peft import PrefixTuningConfig
    from safetensors.torch import save_file

    if len({tensor.shape for pair in layers for tensor in pair}) > 1:
        folder.mkdir(parents=True, exist_ok=True)
        named = {f"{i}.key": keys for i, (keys, _) in enumerate(layers)}
        named |= {f"{i}.value": values for i, (_, values) in enumerate(layers)}
        save_file({name: tensor.contiguous() for name, tensor in named.items()}, folder / UNEQUAL)
        return
    prefix_L2HPD = torch.stack([torch.stack(pair) for pair in layers])
    layer_count, _, heads, tokens, width = prefix_L2HPD.shape
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=known_as,
        num_virtual_tokens=tokens,
        num_layers=layer_count,
        num_attention_heads=heads,
        token_dim=heads * width,
        encoder_hidden_size=heads * width,
        num_transformer_submodules=1,
    )
    vectors = prefix_L2HPD.permute(3, 0, 1, 2, 4).reshape(tokens, -1)
    write_adapter({"prompt_embeddings": vectors}, config, folder)


def _read_prefix(folder: Path, device: torch.device) -> Layers:
    """Return what `_write_prefix` wrote."""
    from peft import PrefixTuningConfig
    from peft.utils import SAFETENSORS_WEIGHTS_NAME
    from safetensors.torch import load_file

    if (folder / UNEQUAL).exists():
        named = load_file(folder / UNEQUAL)
        return [(named[f"{i}.key"].to(device), named[f"{i}.value"].to(device)) for i in range(len(named) // 2)]
    config = PrefixTuningConfig.from_pretrained(folder)
    heads, tokens = config.num_attention_heads, config.num_virtual_tokens
    vectors = load_file(folder / SAFETENSORS_WEIGHTS_NAME)["prompt_embeddings"].to(device)
    pairs = vectors.view(tokens, config.num_layers, 2, heads, -1).permute(1, 2, 3, 0, 4)
    return [(keys, values) for keys, values in pairs]
