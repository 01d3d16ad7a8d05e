"""A base in 4 or 8 bits: what is quantised, that its gradients are true, and that it becomes plain again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.evaluation.flops import count_token_flops
from tuneoff.models import quantisation
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import build_empty_model, load_model, load_tokenizer
from tuneoff.models.parameters import count_parameters, estimate_weight_bytes
from tuneoff.models.quantisation import Quantisation, dequantise, is_quantised, list_quantised, require_true_gradients
from tuneoff.models.same_network import is_same_network
from tuneoff.models.sources import find_source
from tuneoff.models.structure import find_adaptable_linears, find_linears
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.prepare import prepare

Load = Callable[..., LanguageModel]
each_kind = pytest.mark.parametrize("quantise", get_args(Quantisation))


@pytest.fixture
def load(quantisable_folder: Callable[[str], Path]) -> Load:
    """Loads a tiny model, or only its shape."""

    def of(architecture: str, quantise: Quantisation | None = None, *, shape: bool = False) -> LanguageModel:
        options = ModelOptions(name=str(quantisable_folder(architecture)), quantise=quantise)
        source = find_source(options)
        return (build_empty_model if shape else load_model)(source, options, load_tokenizer(source, options))

    return of


@each_kind
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_every_linear_layer_inside_the_blocks_is_quantised_and_can_be_adapted(
    architecture: str, quantise: Quantisation, load: Load
) -> None:
    plain, model = load(architecture), load(architecture, quantise)
    assert list(list_quantised(model.network)) == list(find_linears(plain.base)) == list(find_linears(model.base))
    assert find_adaptable_linears(model.base) == (list(find_linears(plain.base)), [])
    assert not is_quantised(model.head)
    assert not list_quantised(plain.network)


@each_kind
def test_a_shape_counts_what_the_loaded_model_has(quantise: Quantisation, load: Load) -> None:
    shape, model, plain = load("llama", quantise, shape=True), load("llama", quantise), load("llama")
    assert count_parameters(shape)[1] == count_parameters(model)[1] == count_parameters(plain)[1]
    assert estimate_weight_bytes(shape) == estimate_weight_bytes(model) < estimate_weight_bytes(plain)


@each_kind
def test_the_logits_are_near_those_of_the_plain_model_and_a_plain_one_is_not_touched(
    quantise: Quantisation, load: Load
) -> None:
    tokens_BT = torch.arange(2, 26).reshape(2, 12)
    everything_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT = everything_BT.clone()
    scored_BT[:, 0] = False
    with torch.no_grad():
        plain, held = (load("llama", q).logits(tokens_BT, everything_BT, scored_BT) for q in (None, quantise))
    assert not torch.equal(plain, held)
    assert torch.nn.functional.cosine_similarity(plain, held).min() > 0.98


@each_kind
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_dequantised_model_is_the_plain_network_with_the_weights_of_the_codes(
    architecture: str, quantise: Quantisation, load: Load, tmp_path: Path
) -> None:
    """GPT-2 has transposed weights, some of them square, which would pass a check of shapes."""
    plain, model = load(architecture), load(architecture, quantise)
    dequantise(model.network, "tiny")
    assert is_same_network(model, plain)
    for name in find_linears(plain.base):
        weight, own = (of.base.get_submodule(name).weight.flatten() for of in (model, plain))
        assert torch.nn.functional.cosine_similarity(weight, own, dim=0) > 0.98
    model.network.save_pretrained(tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())


def test_no_layer_may_repack_its_weights_in_an_evaluation(load: Load) -> None:
    layers = list_quantised(load("llama", "nf4").network).values()
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)


def test_wrong_gradients_after_an_evaluation_are_found(load: Load) -> None:
    """As bitsandbytes 0.50 does on a CPU with AVX512-BF16: an evaluation changes the order of the codes."""
    layer = next(iter(list_quantised(load("llama", "nf4").network).values()))
    require_true_gradients(layer, "tiny")

    def repack(layer: Any, *_: object) -> None:
        if not layer.training:
            layer.weight.data = layer.weight.data.flip(0)

    layer.register_forward_pre_hook(repack)
    with pytest.raises(ModelError, match=r"wrong gradients .* after an evaluation: .* cosine"):
        require_true_gradients(layer, "tiny")


@each_kind
def test_a_network_whose_gradients_are_wrong_is_not_loaded(
    quantise: Quantisation, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        quantisation, "dequantise_weight", lambda layer: torch.randn(layer.out_features, layer.in_features)
    )
    with pytest.raises(ModelError, match="wrong gradients"):
        load("llama", quantise)


@each_kind
def test_a_token_of_a_quantised_model_has_the_operations_of_the_plain_one(quantise: Quantisation, load: Load) -> None:
    prompt_1T = torch.arange(2, 12)[None]
    plain, held = (count_token_flops(load("llama", q), prompt_1T, torch.ones_like(prompt_1T)) for q in (None, quantise))
    assert held == plain


class Recorder:
    """Stands for codes, and notes where they are sent."""

    device: torch.device | None = None

    def to(self, device: torch.device) -> "Recorder":
        self.device = device
        return self


def test_8_bit_codes_go_to_the_device_that_the_model_goes_to(load: Load) -> None:
    """After a forward pass, bitsandbytes holds them where PyTorch does not see them."""
    model = load("llama", "int8")
    layer = next(iter(list_quantised(model.network).values()))
    layer.state.CB = layer.state.SCB = recorder = Recorder()
    model.to("cpu")
    assert recorder.device == layer.weight.device == torch.device("cpu")


def test_without_bitsandbytes_the_extra_is_named(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'tuneoff\[quantise\]'"):
        load("llama", "nf4", shape=True)


def test_a_model_that_comes_quantised_is_trained_as_it_came(load: Load, tmp_path: Path) -> None:
    model = load("llama", "nf4")
    model.network.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    options = ModelOptions(name=str(tmp_path))
    source = find_source(options)
    loaded = load_model(source, options, model.tokenizer)
    shape = build_empty_model(source, options, model.tokenizer)
    assert list(list_quantised(loaded.network)) == list(list_quantised(shape.network)) == list(find_linears(model.base))
    with pytest.raises(ModelError, match="comes quantised with bitsandbytes already"):
        build_empty_model(source, options.model_copy(update={"quantise": "int8"}), model.tokenizer)


def test_the_setting_of_a_model_that_comes_quantised_has_the_version_of_what_computes_with_its_codes(
    load: Load, recipe: dict[str, Any], tmp_path: Path
) -> None:
    model = load("llama", "nf4")
    model.network.save_pretrained(tmp_path / "codes")
    model.tokenizer.save_pretrained(tmp_path / "codes")
    quantised = recipe | {"model": recipe["model"] | {"name": str(tmp_path / "codes")}, "methods": ["base", "lora"]}
    assert prepare(Recipe.read(quantised)).setting.versions["bitsandbytes"]
    assert "bitsandbytes" not in prepare(Recipe.read(recipe)).setting.versions


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (
            {"quant_method": "gptq", "bits": 4, "group_size": 32},
            "gptq, which cannot be used on this machine: .*optimum",
        ),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 32},
            "awq, which cannot be used on this machine: .*gptqmodel",
        ),
        ({"quant_method": "unheard-of"}, "unheard-of, which cannot be used on this machine"),
    ],
    ids=["gptq", "awq", "unknown"],
)
def test_what_is_missing_for_a_quantised_checkpoint_is_named(
    kind: dict[str, Any], reason: str, quantisable_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(quantisable_folder("llama"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": kind}))
    options = ModelOptions(name=str(folder))
    with pytest.raises(ModelError, match=reason):
        build_empty_model(find_source(options), options, None)


def test_layers_are_recognized_by_their_codes_and_not_by_their_name() -> None:
    layer = nn.Linear(4, 4)
    assert not is_quantised(layer)
    layer.register_buffer("qweight", torch.zeros(2, 4, dtype=torch.int32))
    assert is_quantised(layer)


def test_rows_of_whole_blocks_are_decoded_and_others_are_refused_where_they_are_not(
    model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quantisation.decodes_rows(128)
    monkeypatch.setattr(quantisation, "decodes_rows", lambda width: width % 64 == 0)
    options = ModelOptions(name=str(model_folder("llama")), quantise="nf4")
    source = find_source(options)
    for load_it in (build_empty_model, load_model):
        with pytest.raises(ModelError, match=r"in rows of 32, as in .* wrongly on this processor"):
            load_it(source, options, load_tokenizer(source, options))
