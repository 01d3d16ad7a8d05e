"""The contract that every method keeps, on every architecture."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import ARCHITECTURES
from tuneoff.methods import METHODS, Method
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import count_parameters
from tuneoff.models.precision import hold_for_training

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
ROUNDED = {"pissa"}  # takes weights apart and adds them together again, and so equals nothing bit by bit
REFUSED = {
    ("llama", "bitfit"): "this model has none",
    ("gemma2", "bitfit"): "this model has none",
    ("gpt2", "peft"): "Conv1D.* is not supported",  # C3A
}
PAIRS = [
    pytest.param(architecture, method, id=f"{architecture}-{variant}")
    for architecture in ARCHITECTURES
    for variant, method in VARIANTS.items()
    if (architecture, variant) not in REFUSED
]
over_all = pytest.mark.parametrize(("architecture", "method"), PAIRS)


@pytest.fixture
def tokens_BT() -> Tensor:
    return torch.randint(2, 320, (3, 11), generator=torch.Generator().manual_seed(1))


def logits(model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor | None = None) -> Tensor:
    """The logits that predict the last five tokens of each row, (B * 5, V)."""
    scored_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, -5:] = True
    attention_BT = torch.ones_like(tokens_BT) if attention_BT is None else attention_BT
    with torch.no_grad():
        return model.eval().logits(tokens_BT, attention_BT, scored_BT)


def alike(one_NV: Tensor, other_NV: Tensor, method: Method) -> bool:
    """Whether logits are equal: bit by bit where that can be asked of the method."""
    if method.name in ROUNDED:
        return torch.allclose(one_NV, other_NV, rtol=1e-5, atol=1e-5)
    return torch.equal(one_NV, other_NV)


def take_steps(model: LanguageModel, tokens_BT: Tensor, steps: int = 3) -> None:
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        return
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    for _ in range(steps):
        logits_NV = model.train().logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
        torch.nn.functional.cross_entropy(logits_NV, tokens_BT[scored_BT]).backward()
        optimizer.step()
        optimizer.zero_grad()


def tuned(load_tiny: Load, architecture: str, method: Method, tokens_BT: Tensor) -> LanguageModel:
    torch.manual_seed(2)
    model = method.apply(load_tiny(architecture))
    take_steps(model, tokens_BT)
    return model


@pytest.mark.parametrize(("architecture", "name"), REFUSED)
def test_a_method_that_does_not_fit_says_why(architecture: str, name: str, load_tiny: Load) -> None:
    with pytest.raises((ValueError, TypeError), match=REFUSED[architecture, name]):
        VARIANTS[name].apply(load_tiny(architecture))


@over_all
def test_steps_move_exactly_what_requires_a_gradient(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = method.apply(load_tiny(architecture))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    take_steps(model, tokens_BT)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}


@over_all
def test_a_method_that_promises_it_starts_as_the_base_model(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    torch.manual_seed(2)
    started = logits(method.apply(load_tiny(architecture)), tokens_BT)
    assert alike(started, logits(load_tiny(architecture), tokens_BT), method) is method.starts_as_base


@over_all
def test_a_padded_row_has_the_logits_of_the_row_alone(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = tuned(load_tiny, architecture, method, tokens_BT)
    alone = logits(model, tokens_BT[:1, :8])
    padded_BT = torch.cat([tokens_BT[:1, :8], torch.ones(1, 6, dtype=torch.long)], dim=1)
    attention_BT = (torch.arange(14) < 8).long()[None]
    scored_BT = torch.zeros_like(padded_BT, dtype=torch.bool)
    scored_BT[:, 3:8] = True
    with torch.no_grad():
        torch.testing.assert_close(model.logits(padded_BT, attention_BT, scored_BT), alone, rtol=1e-4, atol=1e-5)


@over_all
def test_a_prompt_padded_on_the_left_is_answered_as_it_is_alone(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = tuned(load_tiny, architecture, method, tokens_BT).eval()
    options = {"max_new_tokens": 6, "min_new_tokens": 6}
    padded_BT = tokens_BT.clone()
    padded_BT[0, :5] = 1
    attention_BT = torch.ones_like(padded_BT)
    attention_BT[0, :5] = 0
    together = generate(model, padded_BT, attention_BT, **options)
    alone = [generate(model, row[mask.bool()][None], mask[mask.bool()][None], **options)[0]
             for row, mask in zip(padded_BT, attention_BT, strict=True)]  # fmt: skip
    assert torch.equal(together, torch.stack(alone))


@over_all
def test_generation_follows_the_logits(architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor) -> None:
    model = tuned(load_tiny, architecture, method, tokens_BT).eval()
    model.base.generation_config.eos_token_id = None
    written = generate(model, tokens_BT, torch.ones_like(tokens_BT), max_new_tokens=4)
    whole = torch.cat([tokens_BT, written], dim=1)
    scored_BT = torch.zeros_like(whole, dtype=torch.bool)
    scored_BT[:, -4:] = True
    with torch.no_grad():
        assert torch.equal(model.logits(whole, torch.ones_like(whole), scored_BT).argmax(-1), written.flatten())


@over_all
def test_what_is_saved_and_loaded_has_the_same_logits(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor, tmp_path: Path
) -> None:
    model = tuned(load_tiny, architecture, method, tokens_BT)
    method.save(model, tmp_path)
    loaded = method.load(load_tiny(architecture), tmp_path)
    assert alike(logits(loaded, tokens_BT), logits(model, tokens_BT), method)


@over_all
def test_the_merged_model_has_the_logits_of_the_unmerged(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = tuned(load_tiny, architecture, method, tokens_BT)
    unmerged = logits(copy.deepcopy(model), tokens_BT)
    torch.testing.assert_close(logits(method.merge(model), tokens_BT), unmerged, rtol=1e-4, atol=1e-5)


@over_all
def test_frozen_matrices_are_held_in_bf16_and_trained_weights_in_float32(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = hold_for_training(method.apply(load_tiny(architecture)), torch.bfloat16)
    held = {(p.requires_grad, p.dtype) for p in model.parameters() if p.ndim > 1}
    assert held <= {(True, torch.float32), (False, torch.bfloat16)}


@over_all
def test_a_step_with_bf16_products_runs_and_gives_finite_gradients(
    architecture: str, method: Method, load_tiny: Load, tokens_BT: Tensor
) -> None:
    model = hold_for_training(method.apply(load_tiny(architecture)), torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        take_steps(model, tokens_BT, steps=1)
    assert all(torch.isfinite(p).all() for p in model.parameters())


@over_all
def test_the_outline_of_a_model_tells_what_is_trained(
    architecture: str, method: Method, load_tiny: Load, outline_tiny: Load
) -> None:
    counted = count_parameters(method.apply(outline_tiny(architecture)))
    assert counted == count_parameters(method.apply(load_tiny(architecture)))
