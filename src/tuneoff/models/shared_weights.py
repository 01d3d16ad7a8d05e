"""Copies of a model that share its weights, so that several trained models need the memory of one."""

from __future__ import annotations

import copy

from torch import nn

from tuneoff.models.language_model import LanguageModel


def copy_sharing_weights(model: LanguageModel) -> LanguageModel:
    """Return a copy with modules and parameters of its own, whose numbers are those of the model.

    What writes into a parameter of the copy in place writes into the model; giving it other data does not.
    """
    shared: dict[int, object] = {id(model.tokenizer): model.tokenizer}
    shared |= {id(buffer): buffer for buffer in model.buffers()}
    shared |= {id(p): nn.Parameter(p.detach(), requires_grad=p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, shared)
