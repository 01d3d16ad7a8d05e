"""One GGUF file for llama.cpp, Ollama and LM Studio."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from tuneoff.exports import merged
from tuneoff.exports.converter import convert, find_converter
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.readers import TransformersReader, list_ends

FILE = "model.gguf"


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Merge the model and convert it.

    Raises:
        RunError: the method cannot be merged, or the converter is missing or fails.
    """
    converter = find_converter(options.converter)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        merged.write(exportable, Path(temporary), ExportOptions(precision="float32"))
        convert(Path(temporary), folder / FILE, choose_precision(exportable, options), converter)


def choose_precision(_: Exportable, options: ExportOptions) -> str:
    """Return the precision to store: float16 unless the user chose, since every tool computes with it."""
    return options.precision or "float16"


def read(exportable: Exportable, folder: Path) -> TransformersReader:
    """Load the file with transformers, which also checks its tokenizer."""
    network = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    return TransformersReader(network=network.eval(), ends=list_ends(exportable.model))


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return the command that runs the file."""
    return f"```\nllama-cli --model {folder}/{FILE}\nllama-server --model {folder}/{FILE} --port 8080\n```"


GGUF = Format(
    name="gguf",
    summary="One file with the merged model, for llama.cpp and what is built on it.",
    write=write,
    read=read,
    usage=describe_usage,
    precisions=("float32", "float16", "bfloat16", "q8_0"),
    choose_precision=choose_precision,
)
