"""Answers of llama.cpp itself, through the wheel `xllamacpp`."""

from pathlib import Path
from typing import Any

import pytest

xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp has wheels for Linux on x86-64 only")


def open_model(model: Path, lora: Path | None = None) -> Any:
    """Load a GGUF file, and an adapter for it."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx, params.n_parallel, params.warmup, params.n_gpu_layers = 512, 1, False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.fit_params = False  # which asks for the memory of this machine
    if lora:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.0)]
    return xllamacpp.Server(params)


def complete(server: Any, prompt: str, count: int) -> str:
    """Return what follows the prompt by greedy decoding, at most so many tokens."""
    reply = server.handle_completions(
        {"prompt": prompt, "max_tokens": count, "temperature": 0, "samplers": ["top_k"], "top_k": 1}
    )
    text: str = reply["choices"][0]["text"]
    return text
