"""The contract of a method, tested for every method on every architecture."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import ARCHITECTURES
from tests.methods.training import apply, compute_logits, take_steps
from tuneoff.evaluation.flops import count_token_flops
from tuneoff.methods import METHODS, Method
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import count_parameters
from tuneoff.models.precision import hold_for_training
from tuneoff.models.same_network import is_same_network

Load = Callable[[str], LanguageModel]
NEEDED: dict[str, dict[str, Any]] = {
    "peft": {"peft_type": "C3A", "block_size": 16},
    "last-blocks": {"blocks": 1},
    "p-tuning": {"tokens": 3, "width": 8},
}
VARIANTS = {
    **{name: method.read(NEEDED.get(name, {})) for name, method in METHODS.items()},
    "last-layer-tied": METHODS["last-layer"].read({"tied": True}),
    "lora-default": METHODS["lora"].read({"modules": "default"}),
    "lora-attention": METHODS["lora"].read({"modules": "attention"}),
    "soft-prompt-vocabulary": METHODS["soft-prompt"].read({"init": "vocabulary", "tokens": 5}),
    "soft-prompt-random": METHODS["soft-prompt"].read({"init": "random", "tokens": 1}),
}
ROUNDED = {"pissa", "olora", "corda"}  # subtract from the weights and add to them again, so results differ by rounding
REFUSED = {
    ("llama", "bitfit"): "this model has none",
    ("gemma2", "bitfit"): "this model has none",
    ("gpt2", "olora"): "decomposes the transposed weights",
    ("gpt2", "peft"): "Conv1D.* is not supported",  # C3A
}
LIKE_OTHERS = {"lora-fa", "olora", "eva", "corda", "lisa"}  # like LoRA, PiSSA and full, which are tested on all
PAIRS = [
    pytest.param(
        architecture,
        method,
        id=f"{architecture}-{variant}",
        marks=pytest.mark.slow if variant in LIKE_OTHERS and architecture != "llama" else (),
    )
    for architecture in ARCHITECTURES
    for variant, method in VARIANTS.items()
    if (architecture, variant) not in REFUSED
]
for_all_pairs = pytest.mark.parametrize(("architecture", "method"), PAIRS)


def are_equal(logits_NV: Tensor, other_NV: Tensor, method: Method) -> bool:
    """Return whether logits are equal: to the last bit unless the method rounds."""
    if method.name in ROUNDED:
        return torch.allclose(logits_NV, other_NV, rtol=1e-5, atol=1e-5)
    return torch.equal(logits_NV, other_NV)


def apply_and_train(load_tiny: Load, architecture: str, method: Method, tokens_BT: Tensor) -> LanguageModel:
    torch.manual_seed(2)
    model = apply(method, load_tiny(architecture), tokens_BT)
    take_steps(model, tokens_BT)
    return model


@pytest.mark.parametrize(("architecture", "name"), REFUSED)
def test_a_method_that_does_not_fit_the_model_says_why(architecture: str, name: str, load_tiny: Load) -> None:
    with pytest.raises((ValueError, TypeError), match=REFUSED[architecture, name]):
        VARIANTS[name].apply(load_tiny(architecture))


@for_all_pairs
def test_steps_move_exactly_what_requires_a_gradient(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = apply(method, load_tiny(architecture), tokens_BT)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    take_steps(model, tokens_BT)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}


@for_all_pairs
def test_a_method_starts_as_the_base_model_if_it_says_so(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    torch.manual_seed(2)
    started = compute_logits(apply(method, load_tiny(architecture), tokens_BT), tokens_BT)
    assert are_equal(started, compute_logits(load_tiny(architecture), tokens_BT), method) is method.starts_as_base


@for_all_pairs
def test_a_padded_row_has_the_logits_of_the_row_alone(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = apply_and_train(load_tiny, architecture, method, tokens_BT)
    alone = compute_logits(model, tokens_BT[:1, :8])
    padded_BT = torch.cat([tokens_BT[:1, :8], torch.ones(1, 6, dtype=torch.long)], dim=1)
    attention_BT = (torch.arange(14) < 8).long()[None]
    scored_BT = torch.zeros_like(padded_BT, dtype=torch.bool)
    scored_BT[:, 3:8] = True
    with torch.no_grad():
        torch.testing.assert_close(model.logits(padded_BT, attention_BT, scored_BT), alone, rtol=1e-4, atol=1e-5)


@for_all_pairs
def test_a_prompt_with_left_padding_gets_the_answer_that_it_gets_alone(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = apply_and_train(load_tiny, architecture, method, tokens_BT).eval()
    options = {"max_new_tokens": 6, "min_new_tokens": 6}
    padded_BT = tokens_BT.clone()
    padded_BT[0, :5] = 1
    attention_BT = torch.ones_like(padded_BT)
    attention_BT[0, :5] = 0
    together = generate(model, padded_BT, attention_BT, **options)
    alone = [generate(model, row[mask.bool()][None], mask[mask.bool()][None], **options)[0]
             for row, mask in zip(padded_BT, attention_BT, strict=True)]  # fmt: skip
    assert torch.equal(together, torch.stack(alone))


@for_all_pairs
def test_generation_follows_the_logits(architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor) -> None:
    model = apply_and_train(load_tiny, architecture, method, tokens_BT).eval()
    model.base.generation_config.eos_token_id = None
    generated_BN = generate(model, tokens_BT, torch.ones_like(tokens_BT), max_new_tokens=4)
    text_BT = torch.cat([tokens_BT, generated_BN], dim=1)
    scored_BT = torch.zeros_like(text_BT, dtype=torch.bool)
    scored_BT[:, -4:] = True
    with torch.no_grad():
        likeliest_N = model.logits(text_BT, torch.ones_like(text_BT), scored_BT).argmax(-1)
    assert torch.equal(likeliest_N, generated_BN.flatten())


@for_all_pairs
def test_what_is_saved_and_loaded_has_the_same_logits(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor, tmp_path: Path
) -> None:
    model = apply_and_train(load_tiny, architecture, method, tokens_BT)
    method.save(model, tmp_path)
    loaded = method.load(load_tiny(architecture), tmp_path)
    assert are_equal(compute_logits(loaded, tokens_BT), compute_logits(model, tokens_BT), method)


@for_all_pairs
def test_the_merged_model_has_the_logits_of_the_unmerged(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = apply_and_train(load_tiny, architecture, method, tokens_BT)
    unmerged = compute_logits(copy.deepcopy(model), tokens_BT)
    torch.testing.assert_close(compute_logits(method.merge(model), tokens_BT), unmerged, rtol=1e-4, atol=1e-5)


@for_all_pairs
def test_exactly_what_adds_no_work_is_served_as_the_base_models_network(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    base = load_tiny(architecture).eval()
    served = method.merge(apply_and_train(load_tiny, architecture, method, tokens_BT)).eval()
    prompt = tokens_BT[:1], torch.ones_like(tokens_BT[:1])
    adds_work = count_token_flops(served, *prompt) > count_token_flops(base, *prompt)
    assert is_same_network(served, base) == (not adds_work)


@for_all_pairs
def test_frozen_matrices_are_held_in_bf16_and_trained_weights_in_float32(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = hold_for_training(apply(method, load_tiny(architecture), tokens_BT), torch.bfloat16)
    dtypes = {(p.requires_grad, p.dtype) for p in model.parameters() if p.ndim > 1}
    assert dtypes <= {(True, torch.float32), (False, torch.bfloat16)}


@for_all_pairs
def test_a_step_with_bf16_products_runs_and_gives_finite_gradients(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = hold_for_training(apply(method, load_tiny(architecture), tokens_BT), torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        take_steps(model, tokens_BT, steps=1)
    assert all(torch.isfinite(p).all() for p in model.parameters())


@for_all_pairs
def test_a_model_without_weights_shows_what_is_trained(
    architecture: str, method: Method, load_tiny: Load, outline_tiny: Load
) -> None:
    counts = count_parameters(method.apply(outline_tiny(architecture)))
    assert counts == count_parameters(method.apply(load_tiny(architecture)))
