"""Prompts: from examples to the tokens that a model reads and those that it is trained on."""

from tuneoff.data.prompt.defaults import choose_kind, complete_options
from tuneoff.data.prompt.encoder import Encoder, require_prompts

__all__ = ["Encoder", "choose_kind", "complete_options", "require_prompts"]
