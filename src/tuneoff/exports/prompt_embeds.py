"""The vectors of a soft prompt, for servers that take embeddings in place of tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tuneoff.errors import RunError
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.readers import TransformersReader, list_ends

FILE = "prompt_embeds.safetensors"


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Write the vectors, (P, D), with the tokenizer.

    Raises:
        RunError: the method has no soft prompt.
    """
    prompt_PD = exportable.model.compute_prompt()
    if prompt_PD is None:
        raise RunError(f"{exportable.label} has no soft prompt. Export it with --as adapter or --as merged.")
    dtype = getattr(torch, options.precision or "float32")
    save_file({"prompt_embeds": prompt_PD.detach().to(dtype).contiguous()}, folder / FILE)
    exportable.tokenizer.save_pretrained(folder)


def read(exportable: Exportable, folder: Path) -> TransformersReader:
    """Load the base model with plain transformers, and the vectors."""
    network = AutoModelForCausalLM.from_pretrained(exportable.source.folder, dtype=torch.float32, use_safetensors=True)
    return TransformersReader(
        network=network.eval(),
        ends=list_ends(exportable.model),
        prompt_PD=load_file(folder / FILE)["prompt_embeds"],
    )


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return how to use the vectors, with transformers and with vLLM."""
    return f"""```python
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{exportable.model.known_as}", dtype="float32")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
prompt = load_file("{folder}/{FILE}")["prompt_embeds"]  # (P, D)
text = model.get_input_embeddings()(tokenizer("...", return_tensors="pt").input_ids[0])
answer = model.generate(inputs_embeds=torch.cat([prompt, text])[None], max_new_tokens=64)
```

vLLM takes the same concatenated tensor as `prompt_embeds`, with `vllm serve {exportable.model.known_as}
--enable-prompt-embeds`."""


PROMPT_EMBEDS = Format(
    name="prompt-embeds",
    summary="The vectors of a soft prompt, for tools that take embeddings.",
    write=write,
    read=read,
    usage=describe_usage,
    base="files",
    precisions=("float32", "float16", "bfloat16"),
)
