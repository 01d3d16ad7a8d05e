"""Inputs for `benchmarks.fuzz`: the files of a model that say how large it is, mutated, and what reads them."""

from __future__ import annotations

import functools
import json
import os
import struct
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from benchmarks.inputs import Input, mutate_bytes, mutate_tree
from tuneoff.config.data import DataOptions
from tuneoff.config.model import ModelOptions
from tuneoff.data.prompt.chat_template import ChatTemplate
from tuneoff.data.reading import read_rows
from tuneoff.models.loading import build_empty_model, load_tokenizer
from tuneoff.models.sources import Source, find_source

SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
         "vocab_size", "max_position_embeddings", "head_dim", "rms_norm_eps", "num_local_experts")  # fmt: skip
NUMBERS = (0, -1, 1, 3, 10**6, 10**7, 10**9, 2**63, 0.5, "32", "", None, [32], {}, True)
EXPRESSIONS = (
    "(a+)+$",
    "(a|a)*$",
    "(a|ab)*b",
    "(.*)*x",
    "((a{1,})+)+!",
    "[",
    "\\",
    "(",
    r"\p{L}+",
    "(?:x+x+)+y",
    "a{9,}",
)
NORMALIZERS: tuple[Any, ...] = (
    {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 20_000},
    {"type": "Prepend", "prepend": "a" * 20_000},
    {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 40},
    {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"},
    {"type": "Lowercase"},
    {"type": 7},
    "text",
    [],
)
TEMPLATES = (
    "{{ 'a' * 10**10 }}", "{{ 'a' * 10000000000 }}", "{{ messages | center(10000000000) }}",
    "{{ '%010000000000d' % 1 }}",
    "{{ messages }}" + "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4, "{% for m in messages %}", "{{ 7 / 0 }}",
    "{% generation %}", "{{ raise_exception('no') }}", "{{ messages[0].content }}", "{{ undefined.part }}", "",
)  # fmt: skip
SPECIAL_FILES = ("/dev/zero", "/dev/null", "/dev/urandom", "fifo", "circle", "folder", "missing")
COUNTS = (0, 1, 7, 10**6, 2**32, 2**63, 2**64 - 1)


@functools.cache
def _make_files() -> dict[str, Any]:
    """Return the config and the tokenizer of a tiny model."""
    from tests.conftest import save_tokenizer, tiny_config

    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(Path(folder))
        tokenizer = json.loads((Path(folder) / "tokenizer.json").read_text("utf-8"))
        settings = json.loads((Path(folder) / "tokenizer_config.json").read_text("utf-8"))
    return {"config": tiny_config("llama").to_dict(), "tokenizer": tokenizer, "tokenizer_config": settings}


def read_config(config: Any, folder: Path) -> None:
    """Build a model without weights from a config."""
    (folder / "config.json").write_text(json.dumps(config))
    build_empty_model(Source(folder=folder, known_as="m", fingerprint="f"), ModelOptions(name="m"), None)


def read_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Load a tokenizer and tokenize a text that is hard for some expressions."""
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(_make_files()["tokenizer_config"]))
    loaded = load_tokenizer(Source(folder=folder, known_as="m", fingerprint="f"), ModelOptions(name="m"))
    assert len(loaded("a" * 60 + "!").input_ids) < 10**6


def read_gguf(content: bytes, folder: Path) -> None:
    """Convert a GGUF file."""
    (folder / "model.gguf").write_bytes(content)
    find_source(ModelOptions(name=str(folder / "model.gguf")))


def read_chat_template(template: str, folder: Path) -> None:
    """Write a chat with a template that came with a model."""
    from tests.data.conftest import train_tokenizer

    tokenizer = train_tokenizer(chat_template=template)
    chat = ChatTemplate(tokenizer=tokenizer, arguments={}, day=date(2026, 1, 1))
    assert len(chat.render([{"role": "user", "content": "a"}])) < 10**7


def read_special_file(name: str, folder: Path) -> None:
    """Read data from what is no regular file."""
    os.mkfifo(folder / "fifo")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "folder").mkdir()
    read_rows(TypeAdapter(DataOptions).validate_python({"source": "files", "files": str(folder / name)}))


def _make_gguf(tensors: int, values: int) -> bytes:
    key = b"general.architecture"
    text = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, 5) + b"llama"
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + text


@st.composite
def draw_config(draw: st.DrawFn) -> Any:
    """Draw a config of a model that is changed or replaced."""
    config = draw(mutate_tree((_make_files()["config"],))) if draw(st.booleans()) else dict(_make_files()["config"])
    if isinstance(config, dict):
        config[draw(st.sampled_from(SIZES))] = draw(st.sampled_from(NUMBERS))
    return config


@st.composite
def draw_tokenizer(draw: st.DrawFn) -> Any:
    """Draw a tokenizer that is changed at a random place."""
    tokenizer = json.loads(json.dumps(_make_files()["tokenizer"]))
    match draw(st.integers(0, 2)):
        case 0:
            pattern = {"Regex": draw(st.sampled_from(EXPRESSIONS))}
            tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
        case 1:
            tokenizer["normalizer"] = draw(st.sampled_from(NORMALIZERS))
        case _:
            tokenizer = draw(mutate_tree((tokenizer,)))
    return tokenizer


MODEL_INPUTS = {
    "configs": Input(st.deferred(draw_config), read_config, cost=10),
    "tokenizers": Input(st.deferred(draw_tokenizer), read_tokenizer, cost=10),
    "chats": Input(
        st.one_of(st.sampled_from(TEMPLATES), st.builds("".join, st.lists(st.sampled_from(TEMPLATES), max_size=3))),
        read_chat_template,
        cost=10,
    ),
    "special": Input(st.sampled_from(SPECIAL_FILES), read_special_file, cost=20),
    "gguf": Input(
        st.one_of(
            st.builds(_make_gguf, st.sampled_from(COUNTS), st.sampled_from(COUNTS)),
            mutate_bytes((_make_gguf(0, 1),)),
        ),
        read_gguf,
        cost=10,
    ),
}
