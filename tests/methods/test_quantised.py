"""The contract of a method on a quantised base, for every method that fits one."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from tests.methods.training import apply, compute_logits, take_steps
from tuneoff.config.model import ModelOptions
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import build_empty_model, load_model, load_tokenizer
from tuneoff.models.precision import hold_for_inference, hold_for_training
from tuneoff.models.quantisation import Quantisation, dequantise, list_quantised
from tuneoff.models.sources import find_source
from tuneoff.runner.fit import MisfitError, apply_to_shape

Load = Callable[[Quantisation], LanguageModel]
FITTING = ("last-layer", "layer-norm", "lora", "lora-plus", "lora-fa", "rslora", "dora", "eva", "ia3",
           "adapter", "soft-prompt", "p-tuning", "prefix")  # fmt: skip
MISFITS = {
    "full": "it trains model.layers.0.self_attn.q_proj.weight, which belongs to a quantised layer",
    "last-blocks": "it trains model.layers.0.self_attn.q_proj.weight, which belongs to a quantised layer",
    "lisa": "it trains model.layers.0.self_attn.q_proj.weight, which belongs to a quantised layer",
    "bitfit": "this model has none",
    "pissa": "codes of a few bits cannot hold",
    "olora": "codes of a few bits cannot hold",
    "corda": "codes of a few bits cannot hold",
}
NOT_IN_INT8 = "dora"  # peft reads codes that bitsandbytes has moved
PAIRS = [
    pytest.param(quantise, METHODS[name].read({}), id=f"{quantise}-{name}")
    for quantise in get_args(Quantisation)
    for name in FITTING
    if (quantise, name) != ("int8", NOT_IN_INT8)
]
for_all_pairs = pytest.mark.parametrize(("quantise", "method"), PAIRS)


def get_options(quantisable_folder: Callable[[str], Path], quantise: Quantisation, architecture: str) -> ModelOptions:
    return ModelOptions(name=str(quantisable_folder(architecture)), quantise=quantise)


@pytest.fixture
def load(quantisable_folder: Callable[[str], Path]) -> Load:
    def of(quantise: Quantisation) -> LanguageModel:
        options = get_options(quantisable_folder, quantise, "llama")
        source = find_source(options)
        return load_model(source, options, load_tokenizer(source, options))

    return of


def apply_and_train(load: Load, quantise: Quantisation, method: Method, tokens_BT: Tensor) -> LanguageModel:
    """Steps with an evaluation between them, as a training has."""
    torch.manual_seed(2)
    model = hold_for_training(apply(method, load(quantise), tokens_BT), torch.float32)
    for _ in range(2):
        compute_logits(model, tokens_BT)
        take_steps(model, tokens_BT, steps=1)
    return model


@for_all_pairs
def test_it_starts_as_the_quantised_base_if_it_says_so(
    quantise: Quantisation, method: Method, load: Load, tokens_BT: Tensor
) -> None:
    torch.manual_seed(2)
    base = compute_logits(hold_for_training(load(quantise), torch.float32), tokens_BT)
    started = compute_logits(hold_for_training(apply(method, load(quantise), tokens_BT), torch.float32), tokens_BT)
    assert torch.equal(started, base) is method.starts_as_base


@for_all_pairs
def test_steps_move_exactly_what_requires_a_gradient_and_no_code(
    quantise: Quantisation, method: Method, load: Load, tokens_BT: Tensor
) -> None:
    model = hold_for_training(apply(method, load(quantise), tokens_BT), torch.float32)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    take_steps(model, tokens_BT, steps=2)
    compute_logits(model, tokens_BT)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}


@for_all_pairs
def test_only_what_was_trained_is_saved_and_loading_it_gives_the_same_logits(
    quantise: Quantisation, method: Method, load: Load, tokens_BT: Tensor, tmp_path: Path
) -> None:
    model = apply_and_train(load, quantise, method, tokens_BT)
    method.save(model, tmp_path)
    added = {n for n, _ in model.named_parameters() if "lora_" in n}  # LoRA-FA trains one matrix of two
    trained = sum(p.numel() * 4 for n, p in model.named_parameters() if p.requires_grad or n in added)
    (file,) = tmp_path.glob("*.safetensors")
    assert file.stat().st_size < trained + 20_000  # and the names
    loaded = hold_for_inference(method.load(load(quantise), tmp_path), torch.float32)
    torch.testing.assert_close(compute_logits(loaded, tokens_BT), compute_logits(model, tokens_BT), rtol=0, atol=1e-6)


@for_all_pairs
def test_merged_into_the_weights_of_the_codes_it_computes_what_it_did(
    quantise: Quantisation, method: Method, load: Load, tokens_BT: Tensor, tmp_path: Path
) -> None:
    """int8 also rounds what goes into a layer, which its weights alone do not."""
    model = apply_and_train(load, quantise, method, tokens_BT)
    judged = compute_logits(model, tokens_BT)
    method.save(model, tmp_path)
    base = load(quantise)
    dequantise(base.network, "tiny")
    merged = method.merge(method.load(base, tmp_path)).float()
    tolerance = 1e-5 if quantise == "nf4" else 0.02
    torch.testing.assert_close(compute_logits(merged, tokens_BT), judged, rtol=0, atol=tolerance)


@for_all_pairs
def test_the_codes_are_not_merged_into(quantise: Quantisation, method: Method, load: Load, tokens_BT: Tensor) -> None:
    model = apply_and_train(load, quantise, method, tokens_BT)
    judged = compute_logits(model, tokens_BT)
    merged = method.merge(model)
    assert list_quantised(merged.network)
    assert torch.equal(compute_logits(merged, tokens_BT), judged)


@for_all_pairs
def test_steps_and_evaluation_with_bf16_products_give_finite_weights(
    quantise: Quantisation, method: Method, load: Load, tokens_BT: Tensor
) -> None:
    model = hold_for_training(apply(method, load(quantise), tokens_BT), torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        take_steps(model, tokens_BT, steps=1)
    assert all(torch.isfinite(p).all() for p in model.parameters() if p.is_floating_point())
    hold_for_inference(model, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(compute_logits(model, tokens_BT)).all()


@pytest.mark.parametrize("name", [*FITTING, *MISFITS])
def test_what_fits_is_found_from_the_shape(name: str, quantisable_folder: Callable[[str], Path]) -> None:
    options = get_options(quantisable_folder, "nf4", "llama")
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)
    arguments = lambda: build_empty_model(source, options, tokenizer), lambda: load_model(source, options, tokenizer)
    if reason := MISFITS.get(name):
        with pytest.raises(MisfitError, match=reason):
            apply_to_shape(METHODS[name].read({}), *arguments)
    else:
        assert apply_to_shape(METHODS[name].read({}), *arguments)


@pytest.mark.parametrize(
    ("quantise", "architecture", "name", "reason"),
    [
        ("nf4", "gpt2", "bitfit", r"it trains transformer\.h\.0\.attn\.c_attn\.bias, which belongs to a quantised"),
        ("int8", "llama", NOT_IN_INT8, "AttributeError"),
    ],
)
def test_what_would_fail_in_training_does_not_fit(
    quantise: Quantisation, architecture: str, name: str, reason: str, quantisable_folder: Callable[[str], Path]
) -> None:
    options = get_options(quantisable_folder, quantise, architecture)
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)
    with pytest.raises(MisfitError, match=reason):
        apply_to_shape(
            METHODS[name].read({}),
            build=lambda: build_empty_model(source, options, tokenizer),
            load=lambda: load_model(source, options, tokenizer),
        )


def test_every_method_that_trains_is_in_one_of_the_lists() -> None:
    trained = {name for name, method in METHODS.items() if method.trains and name != "peft"}
    assert trained == {*FITTING, *MISFITS}


@pytest.mark.parametrize("quantise", get_args(Quantisation))
def test_types_of_peft_are_tried_on_the_codes(
    quantise: Quantisation, quantisable_folder: Callable[[str], Path]
) -> None:
    """C3A adds in place to the output of a layer with a bias, which cannot be done to a product with codes."""
    options = get_options(quantisable_folder, quantise, "gpt2")
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)
    arguments = lambda: build_empty_model(source, options, tokenizer), lambda: load_model(source, options, tokenizer)
    assert apply_to_shape(METHODS["peft"].read({"peft_type": "VERA"}), *arguments)
    with pytest.raises(MisfitError, match=r"view .* modified inplace|is being modified inplace"):
        apply_to_shape(METHODS["peft"].read({"peft_type": "C3A"}), *arguments)


@pytest.mark.parametrize("quantise", get_args(Quantisation))
def test_ia3_fits_transposed_layers_and_merges_into_their_weights(
    quantise: Quantisation, quantisable_folder: Callable[[str], Path], tokens_BT: Tensor, tmp_path: Path
) -> None:
    """GPT-2 stores its weights transposed, and quantised ones are not."""
    options, method = get_options(quantisable_folder, quantise, "gpt2"), METHODS["ia3"].read({})
    source = find_source(options)
    tokenizer = load_tokenizer(source, options)
    model = hold_for_training(method.apply(load_model(source, options, tokenizer)), torch.float32)
    take_steps(model, tokens_BT)
    judged = compute_logits(model, tokens_BT)
    method.save(model, tmp_path)
    base = load_model(source, options, tokenizer)
    dequantise(base.network, "tiny")
    merged = method.merge(method.load(base, tmp_path)).float()
    torch.testing.assert_close(
        compute_logits(merged, tokens_BT), judged, rtol=0, atol=1e-5 if quantise == "nf4" else 0.02
    )
