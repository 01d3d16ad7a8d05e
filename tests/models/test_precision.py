"""Weights are held in the precision that training or inference needs."""

from collections.abc import Callable

import pytest
import torch

from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import get_dtype, hold_for_inference, hold_for_training, resolve_precision

Load = Callable[[str], LanguageModel]


def test_a_model_held_for_training_keeps_nothing_of_its_mapped_checkpoint(
    load_tiny: Callable[[str], LanguageModel],
) -> None:
    model = load_tiny("llama")
    mapped = {p.data_ptr() for p in model.parameters()}
    held = {p.data_ptr() for p in hold_for_training(model, torch.bfloat16).parameters()}
    assert not held & mapped


def test_full_tuning_keeps_an_update_that_bf16_would_lose(load_tiny: Callable[[str], LanguageModel]) -> None:
    """The master's next float32 is far closer than bf16's: one part in 16 million against one in 256."""
    model = hold_for_training(METHODS["full"]().apply(load_tiny("llama")), torch.bfloat16)
    weight = model.base.model.layers[0].mlp.up_proj.weight
    before = weight.detach().clone()
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.grad = 1e-4 * before  # a ten-thousandth of each weight
    optimizer.step()
    assert not torch.equal(weight, before)
    assert torch.equal(before.to(torch.bfloat16) - (1e-4 * before).to(torch.bfloat16), before.to(torch.bfloat16))


def test_a_model_held_for_inference_has_one_dtype_and_no_gradients(load_tiny: Load) -> None:
    model = hold_for_inference(METHODS["lora"]().apply(load_tiny("llama")), torch.bfloat16)
    assert {(p.dtype, p.requires_grad) for p in model.parameters()} == {(torch.bfloat16, False)}
    assert not model.training


@pytest.mark.parametrize(("instructions", "precision"), [({"amx_bf16": True}, "bf16"), ({"avx2": True}, "float32")])
def test_auto_is_bf16_where_the_processor_multiplies_it(
    instructions: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert resolve_precision("auto", torch.device("cpu")) == precision


def test_a_precision_that_is_named_is_taken_on_any_processor() -> None:
    assert get_dtype(resolve_precision("bf16", torch.device("cpu"))) == torch.bfloat16
    assert get_dtype(resolve_precision("float32", torch.device("cpu"))) == torch.float32


def test_weights_are_contiguous_because_fused_optimizers_go_by_the_order_of_memory() -> None:
    model = torch.nn.Linear(3, 5)
    model.weight = torch.nn.Parameter(torch.randn(3, 5).T)
    expected = model.weight.detach().clone()
    hold_for_training(model, torch.float32)
    assert model.weight.is_contiguous()
    assert torch.equal(model.weight, expected)
