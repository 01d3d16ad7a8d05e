"""Tiny models with random weights, one for each shape that is supported by name, and a tokenizer of their own."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
import yaml

from tests.s3_server import BUCKET, S3Server, serve_s3
from tuneoff.models.language_model import LanguageModel
from tuneoff.system import supervisor

torch.set_num_threads(1)
hypothesis.settings.register_profile("no clock", deadline=None)  # a busy machine is no bug
hypothesis.settings.load_profile("no clock")

SENTENCES = [
    "The committee met on Monday and agreed on a plan for the river.",
    "A storm closed the harbour for two days; ships waited outside.",
    "Researchers found that the small model learns the task from few examples.",
    "The old bridge will be rebuilt next year, the mayor said.",
    "Farmers asked for rain, and in the night it came.",
    "The team lost its third match in a row and dismissed the coach.",
]
ARCHITECTURES = ("gpt_neo", "gpt2", "llama", "qwen2", "gemma2")


MODEL_FIXTURES = {"model_folder", "tokenizer_folder"}  # whoever uses a tiny model uses one of these


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs a model, so that `make quick` can leave them out."""
    for item in items:
        if MODEL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("model")


@pytest.fixture(scope="module", autouse=True)
def no_collection_of_libraries() -> None:
    """Keep what is loaded out of garbage collections. accelerate asks for two after each training, and each would scan
    every library that a test before has imported, which takes longer than the training."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that a test converts or tokenizes lands in the user's cache."""
    os.environ["TUNEOFF_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def in_this_process() -> None:
    """Run commands in the test process. `test_supervisor.py` starts them in processes of their own."""
    os.environ[supervisor.WORKER_VARIABLE] = "1"


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer that was trained on the sentences."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES, vocab_size=320, special_tokens=["<eos>", "<pad>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, eos_token="<eos>", pad_token="<pad>", model_max_length=512
    )
    tokenizer.save_pretrained(folder)


def save_model(architecture: str, folder: Path, width: int = 32) -> None:
    """Write a tiny model of an architecture with random weights."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(architecture, width=width)).save_pretrained(folder)


def save_rows(path: Path) -> None:
    """Write twelve rows of real words, as JSON lines."""
    rows = [{"source": f"{a} {b}", "target": a.split(",")[0]} for a in SENTENCES for b in SENTENCES[:2]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return folder


def tiny_config(architecture: str, vocabulary: int = 320, width: int = 32) -> Any:
    """A two-layer shape, with what is peculiar to the architecture switched on."""
    from transformers import AutoConfig

    common: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    modern = {
        "hidden_size": width,
        "intermediate_size": width * 3 // 2,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    }
    special: dict[str, dict[str, Any]] = {
        "gpt_neo": {
            "hidden_size": width,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
            "max_position_embeddings": 256,
            "resid_dropout": 0.0,
            "embed_dropout": 0.0,
            "attention_dropout": 0.0,
        },
        "gpt2": {"n_embd": width, "n_layer": 2, "n_head": 4, "n_positions": 256,
                 "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
        "llama": {**modern, "tie_word_embeddings": False},
        "qwen2": {**modern, "tie_word_embeddings": True},
        "gemma2": {**modern, "head_dim": 8, "final_logit_softcapping": 3.0, "sliding_window": 8,
                   "attn_implementation": "eager"},
    }  # fmt: skip
    return AutoConfig.for_model(architecture, **common, **special[architecture])


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Callable[[str], Path]:
    """A saved tiny model of an architecture, with its tokenizer beside it."""
    import shutil

    root = tmp_path_factory.mktemp("models")

    def saved(architecture: str, width: int = 32) -> Path:
        folder = root / f"{architecture}-{width}"
        if not folder.exists():
            save_model(architecture, folder, width)
            for file in tokenizer_folder.iterdir():
                shutil.copy(file, folder)
        return folder

    return saved


@pytest.fixture(scope="session")
def quantisable_folder(model_folder: Callable[..., Path]) -> Callable[[str], Path]:
    """A tiny model whose rows of weights are whole blocks of 64, as 4-bit codes on a CPU need them."""
    return lambda architecture: model_folder(architecture, 128)


@pytest.fixture(scope="session")
def load_tiny(model_folder: Callable[[str], Path]) -> Callable[[str], LanguageModel]:
    """A fresh tiny model, loaded the way that a trial loads it."""
    from tuneoff.config.model import ModelOptions
    from tuneoff.models.loading import load_model, load_tokenizer
    from tuneoff.models.sources import find_source

    def load(architecture: str) -> LanguageModel:
        options = ModelOptions(name=str(model_folder(architecture)))
        source = find_source(options)
        return load_model(source, options, load_tokenizer(source, options))

    return load


@pytest.fixture(scope="session")
def outline_tiny(model_folder: Callable[[str], Path]) -> Callable[[str], LanguageModel]:
    """A tiny model's shape without its weights, as a plan counts it."""
    from tuneoff.config.model import ModelOptions
    from tuneoff.models.loading import build_empty_model, load_tokenizer
    from tuneoff.models.sources import find_source

    def of(architecture: str) -> LanguageModel:
        options = ModelOptions(name=str(model_folder(architecture)))
        source = find_source(options)
        return build_empty_model(source, options, load_tokenizer(source, options))

    return of


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.jsonl"
    save_rows(path)
    return path


@pytest.fixture
def recipe(text_file: Path, model_folder: Callable[[str], Path]) -> dict[str, Any]:
    """A whole comparison that takes seconds: a tiny Llama on the text file."""
    return {
        "name": "tiny",
        "model": {"name": str(model_folder("llama")), "precision": "float32", "device": "cpu"},
        "data": {
            "source": "jsonl",
            "files": str(text_file),
            "sizes": {"validation": 2, "test": 3},
            "max_tokens": 64,
            "max_target_tokens": 24,
        },
        "methods": ["base", "lora", "soft-prompt"],
        "training": {"epochs": 2, "batch_size": 4},
        "evaluation": {"generation": {"max_new_tokens": 4}},
    }


@pytest.fixture
def recipe_file(recipe: dict[str, Any], tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return str(path)


@pytest.fixture
def quick_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure inference once, on two new tokens."""
    monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)
    monkeypatch.setattr("tuneoff.evaluation.latency.NEW_TOKENS", 2)


@pytest.fixture
def quick_comparisons(quick_inference: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also write no report: its figures take longer than the trials of a tiny model."""
    monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with serve_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """S3 without objects, with its keys in the environment."""
    s3_server.reset()
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def share_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL of each kind that tests use, chosen by an indirect parameter: `file` or `s3`."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return f"s3://{BUCKET}/mine"
    return f"file://{tmp_path}/share"
