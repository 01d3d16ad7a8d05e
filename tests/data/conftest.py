"""Small tokenizers that are trained in the test session, and a cache for each test."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tuneoff.config.data import DataOptions

SENTENCES = ["the cat sat on the mat", "a dog ran over the hill", "TL;DR: the cat sat", "naïve cafés cost 3 €"]
CHAT_TEMPLATE = (
    "{% for m in messages %}<user>{{ m.content | trim }}{% endfor %}{% if add_generation_prompt %}<reply>{% endif %}"
)


def train_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer like that of GPT-2, trained on four sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<eos>", "<pad>", "<bos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{"eos_token": "<eos>", "pad_token": "<pad>"} | special)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer()


@pytest.fixture(scope="session")
def chat_tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(chat_template=CHAT_TEMPLATE)


@pytest.fixture(scope="session")
def framing_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that puts BOS before each text and EOS after it."""
    tokenizer = train_tokenizer(bos_token="<bos>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 0)]
    )
    return tokenizer


@pytest.fixture(autouse=True)
def _separate_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "tuneoff-cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")


@pytest.fixture
def options() -> Callable[..., DataOptions]:
    """The data options that a recipe's mapping describes."""
    return lambda **values: TypeAdapter(DataOptions).validate_python(values)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], str]:
    """A function that writes a file and returns its path."""

    def _write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return _write


@pytest.fixture
def write_jsonl(write: Callable[[str, str], str]) -> Callable[[str, Iterable[Mapping[str, Any]]], str]:
    return lambda name, rows: write(name, "".join(json.dumps(row) + "\n" for row in rows))


def make_rows(start: int, stop: int) -> list[dict[str, str]]:
    """Rows that all differ."""
    return [{"source": f"text {i}", "target": f"answer {i}"} for i in range(start, stop)]


@pytest.fixture
def rows() -> Callable[[int, int], list[dict[str, str]]]:
    return make_rows
