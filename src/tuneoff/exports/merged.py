"""The whole model as one, which every tool can load: safetensors with the tokenizer and the chat template."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from tuneoff.errors import RunError
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.readers import TransformersReader, list_ends
from tuneoff.methods import get_method
from tuneoff.models.loading import build_empty_model
from tuneoff.models.quantisation import plain_shape
from tuneoff.models.same_network import is_same_network


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Write the merged model.

    Raises:
        RunError: the method cannot be merged.
    """
    network = merge(exportable).to(getattr(torch, choose_precision(exportable, options)))
    network.config.dtype = network.dtype
    network.generation_config = make_generation_config(exportable)
    network.save_pretrained(folder)
    exportable.tokenizer.save_pretrained(folder)


def merge(exportable: Exportable) -> Any:  # Any: transformers' models share no type
    """Return a copy of the model of transformers with what was trained in its own weights.

    Raises:
        RunError: the method adds something that the base model's network does not have.
    """
    trial = exportable.record.trial
    tuned = copy.deepcopy(exportable.model)
    merged = get_method(trial.method).read(trial.hyperparameters).merge(tuned)
    base = build_empty_model(exportable.source, trial.setting.model, exportable.model.tokenizer).to(torch.float32)
    base.split_head = merged.split_head
    with plain_shape(base.network):  # a quantised base was made plain, and so is the shape that it should have
        is_whole = is_same_network(merged, base)
    if not is_whole:
        raise RunError(
            f"{trial.label} cannot be merged: {trial.method} adds to the network what the base model does not have. "
            "Export it with --as adapter."
        )
    return merged.network


def choose_precision(exportable: Exportable, options: ExportOptions) -> str:
    """Return the name of the dtype to store: the user's choice, or that of the base model's files."""
    return options.precision or get_stored_precision(exportable)


def get_stored_precision(exportable: Exportable) -> str:
    """Return the name of the dtype of the base model's files."""
    from transformers import AutoConfig

    trust = exportable.record.trial.setting.model.trust_remote_code
    dtype = AutoConfig.from_pretrained(exportable.source.folder, trust_remote_code=trust).dtype or torch.float32
    return str(dtype).removeprefix("torch.")


def make_generation_config(exportable: Exportable) -> Any:  # Any: transformers' own type
    """Return the base model's generation options, with every token that ended an answer in the run."""
    try:
        config = GenerationConfig.from_pretrained(exportable.source.folder)
    except OSError:  # the base model has none
        config = GenerationConfig()
    config.eos_token_id = list(list_ends(exportable.model))
    return config


def read(exportable: Exportable, folder: Path) -> TransformersReader:
    """Load the folder with plain transformers."""
    network = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True)
    return TransformersReader(network=network.eval(), ends=list_ends(exportable.model))


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return how to load the folder."""
    return f"""```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{folder}")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
```

Or serve it: `vllm serve {folder}`."""


MERGED = Format(
    name="merged",
    summary="The whole model as safetensors, with the tokenizer, for any tool.",
    write=write,
    read=read,
    usage=describe_usage,
    precisions=("float32", "float16", "bfloat16"),
    choose_precision=choose_precision,
)
