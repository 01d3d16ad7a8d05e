"""Which of transformers' models can be tuned here: those that read and write text, and whose tokens see only what is
before them."""

from __future__ import annotations

import re
from typing import Any

from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

SUPPORTED = "Supported are decoder-only language models, such as Llama, Qwen, Gemma, Mistral, GPT-2, Mixtral or Mamba."
_OTHER_SENSES = re.compile(r"(vision|audio|image|vq)\w*_config$")


def describe_unsupported(config: Any) -> str:
    """Return why a model with this config of transformers cannot be tuned here, and what can; empty if it can."""
    kind, text = config.model_type, config.get_text_config(decoder=True)
    if config.is_encoder_decoder:
        return f"it is a {kind}, which has an encoder and a decoder. {SUPPORTED}"
    if text is not config or any(_OTHER_SENSES.search(name) for name in config.to_dict()):
        own_text = f" Its text model alone is one, a {text.model_type}." if text is not config else ""
        return f"it is a {kind}, which reads more than text. {SUPPORTED}{own_text}"
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", True):
        return f"it is a {kind}, whose tokens see those after them, so it cannot write text. {SUPPORTED}"
    return ""
