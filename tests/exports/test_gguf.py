"""GGUF files, read by llama.cpp itself, write what plain transformers writes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import tuneoff
from tests.conftest import SENTENCES
from tests.exports.conftest import make_run
from tests.exports.llama_cpp import complete, open_model
from tuneoff.errors import RunError
from tuneoff.exports.converter import convert, find_converter

pytestmark = [pytest.mark.model, pytest.mark.demo]
TOKENS = 12
METHODS: dict[str, Any] = {
    "base": None,
    "lora": {"learning_rate": 1e-2},
    "last-layer": {"learning_rate": 1e-2},
}


@pytest.fixture(scope="module")
def converter() -> Path:
    try:
        return find_converter(None)
    except RunError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def llama_run(tmp_path_factory: pytest.TempPathFactory, converter: Path) -> Path:
    """A run on a tiny Llama with a tied head and the tokenizer of the demo's model, which the converter knows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from tuneoff.config.model import ModelOptions
    from tuneoff.models.sources import find_source

    model = tmp_path_factory.mktemp("llama")
    tokenizer = AutoTokenizer.from_pretrained(find_source(ModelOptions(name="smollm2-135m-instruct")).folder)
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            initializer_range=0.2,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    network.save_pretrained(model)
    tokenizer.save_pretrained(model)
    return make_run(tmp_path_factory.mktemp("run"), model, METHODS)


def write_with_transformers(model: Any, folder: Path) -> list[str]:
    """What the model writes after five prompts."""
    tokenizer, texts = AutoTokenizer.from_pretrained(folder), []
    for prompt in SENTENCES[:5]:
        tokens = tokenizer(prompt, return_tensors="pt")
        written = model.generate(**tokens, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0)
        texts.append(tokenizer.decode(written[0, tokens.input_ids.shape[1] :], skip_special_tokens=True))
    return texts


def write_with_llama(file: Path, lora: Path | None = None) -> list[str]:
    server = open_model(file, lora)
    return [complete(server, prompt, TOKENS) for prompt in SENTENCES[:5]]


@pytest.mark.parametrize("label", ["lora", "last-layer"])
def test_llama_cpp_writes_what_transformers_writes(llama_run: Path, tmp_path: Path, label: str) -> None:
    check = tuneoff.export(llama_run, to=tmp_path / "gguf", label=label, format="gguf", precision="float32")
    assert check.same_answers == check.prompts
    tuneoff.export(llama_run, to=tmp_path / "merged", label=label, format="merged", precision="float32")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    texts = write_with_transformers(merged, tmp_path / "merged")
    assert write_with_llama(tmp_path / "gguf" / "model.gguf") == texts
    base = AutoModelForCausalLM.from_pretrained(llama_run.parent / "model", dtype=torch.float32)
    assert write_with_transformers(base, tmp_path / "merged") != texts, "else the base model would pass too"


def test_a_lora_in_gguf_on_the_base_model_writes_what_peft_writes(
    llama_run: Path, tmp_path: Path, converter: Path
) -> None:
    from peft import PeftModel

    convert(llama_run.parent / "model", tmp_path / "base.gguf", "float32", converter)
    tuneoff.export(llama_run, to=tmp_path / "lora", label="lora", format="gguf-lora")
    tuneoff.export(llama_run, to=tmp_path / "peft", label="lora")
    base = AutoModelForCausalLM.from_pretrained(llama_run.parent / "model", dtype=torch.float32)
    texts = write_with_transformers(PeftModel.from_pretrained(base, tmp_path / "peft"), tmp_path / "peft")
    assert write_with_llama(tmp_path / "base.gguf", tmp_path / "lora" / "adapter.gguf") == texts
    assert write_with_llama(tmp_path / "base.gguf") != texts


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "q8_0"])
def test_a_lower_precision_says_what_it_changes(llama_run: Path, tmp_path: Path, precision: str) -> None:
    check = tuneoff.export(llama_run, to=tmp_path / "out", label="lora", format="gguf", precision=precision)
    assert 0 < check.largest_logit_difference < check.logit_sd
    assert json.loads((tmp_path / "out" / "export.json").read_text())["precision"] == precision
    assert all(write_with_llama(tmp_path / "out" / "model.gguf"))


def test_the_chat_template_and_the_prompt_of_the_run_go_along(llama_run: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    check = tuneoff.export(llama_run, to=tmp_path / "out", label="lora", format="ollama")
    assert check.precision == "float16"
    field = GGUFReader(tmp_path / "out" / "model.gguf").get_field("tokenizer.chat_template")
    tokenizer = AutoTokenizer.from_pretrained(llama_run.parent / "model")
    assert field is not None
    assert field.contents() == tokenizer.chat_template
    modelfile = (tmp_path / "out" / "Modelfile").read_text()
    assert 'TEMPLATE """{{ .Prompt }}' in modelfile
    assert f'PARAMETER stop "{tokenizer.eos_token}"' in modelfile


def test_a_base_model_that_is_another_one_is_refused(llama_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(llama_run.parent, tmp_path / "copy"))
    weights = llama_run.parent / "model" / "model.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-4] + b"\1\2\3\4")
    try:
        with pytest.raises(RunError, match="is not the model that this run used"):
            tuneoff.export(copy / "run", to=tmp_path / "out", label="lora", format="gguf")
    finally:
        weights.write_bytes(original)
