"""Weights are read as safetensors only: complete, and unable to run code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.sources import find_source


def test_a_folder_without_weights_is_refused(model_copy: Path) -> None:
    (model_copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no weights"):
        find_source(ModelOptions(name=str(model_copy)))


def test_a_folder_with_pickled_weights_only_is_refused_with_the_cure(model_copy: Path) -> None:
    (model_copy / "model.safetensors").rename(model_copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle.*save_pretrained"):
        find_source(ModelOptions(name=str(model_copy)))


def test_a_folder_without_a_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        find_source(ModelOptions(name=str(tmp_path)))


@pytest.mark.parametrize("pickle", [b"\x80\x04\x95pickle in disguise", b"PK\x03\x04 what torch.save packs"])
def test_a_pickle_that_calls_itself_safetensors_is_refused_with_the_reason(model_copy: Path, pickle: bytes) -> None:
    (model_copy / "model.safetensors").write_bytes(pickle)
    with pytest.raises(ModelError, match=r"model\.safetensors is named .* but contains a pickle.*run code"):
        find_source(ModelOptions(name=str(model_copy)))


@pytest.mark.parametrize("part", ["../other.safetensors", "/etc/passwd", "sub/x.safetensors", 3])
def test_an_index_that_leads_out_of_the_folder_is_refused(model_copy: Path, part: object) -> None:
    (model_copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": part}}))
    with pytest.raises(ModelError, match="not a safetensors file in its folder"):
        find_source(ModelOptions(name=str(model_copy)))


def test_an_index_that_is_no_index_is_refused(model_copy: Path) -> None:
    (model_copy / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match="cannot be read"):
        find_source(ModelOptions(name=str(model_copy)))


def test_an_adapter_is_read_from_safetensors_only(load_tiny: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    lora = METHODS["lora"].read({})
    lora.save(lora.apply(load_tiny("llama")), tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"only adapter_model\.bin, a pickle"):
        lora.load(load_tiny("llama"), tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="contains a pickle"):
        lora.load(load_tiny("llama"), tmp_path)


def test_weights_that_were_cut_off_are_refused_before_a_trial_begins(model_copy: Path) -> None:
    weights = model_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        find_source(ModelOptions(name=str(model_copy)))


def test_weights_whose_header_has_the_length_that_a_pickle_begins_with_are_read(model_copy: Path) -> None:
    """The first eight bytes of a safetensors file are its header's length, padded to eights: one in 32 ends in 80."""
    from safetensors.torch import load_file, save_file

    weights, tensors = model_copy / "model.safetensors", load_file(model_copy / "model.safetensors")
    for padding in range(0, 260, 4):
        save_file(tensors, weights, metadata={"format": "pt", "padding": "x" * padding})
        if weights.read_bytes()[:1] == b"\x80":
            break
    assert weights.read_bytes()[:1] == b"\x80"
    assert find_source(ModelOptions(name=str(model_copy))).folder == model_copy


@pytest.mark.parametrize("part", ["pytorch_model.bin", "gone.safetensors"])
def test_an_index_that_names_what_is_no_safetensors_file_is_refused(part: str, model_copy: Path) -> None:
    (model_copy / "pytorch_model.bin").touch()
    (model_copy / "model.safetensors.index.json").write_text(f'{{"weight_map": {{"lm_head.weight": "{part}"}}}}')
    with pytest.raises(ModelError, match=f"names '{part}', which is not a safetensors file"):
        find_source(ModelOptions(name=str(model_copy)))


def test_a_folder_that_would_have_an_adapter_and_another_model_loaded_is_refused(model_copy: Path) -> None:
    (model_copy / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/else"}')
    with pytest.raises(ModelError, match="merge the adapter into it first"):
        find_source(ModelOptions(name=str(model_copy)))
