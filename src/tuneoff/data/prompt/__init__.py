"""Prompts: from examples to the tokens that a model reads and those that it is trained on."""

from tuneoff.data.prompt.defaults import complete_options
from tuneoff.data.prompt.documents import cut_documents
from tuneoff.data.prompt.encoder import Encoder

__all__ = ["Encoder", "complete_options", "cut_documents"]
