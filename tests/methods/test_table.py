"""What the table promises of every method without a model, and the few numbers that only some have."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tuneoff.config.search_space import Range
from tuneoff.methods import METHODS, read_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training

NEEDED = {"peft": {"peft_type": "LOHA"}}


@pytest.mark.parametrize("name", METHODS)
def test_every_value_of_a_space_is_one_that_the_method_takes(name: str) -> None:
    method = METHODS[name].read(NEEDED.get(name, {}))
    for knob, values in method.space.items():
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            taken = type(method).read({**method.model_dump(), knob: value})
            assert getattr(taken, knob) == value


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].space])
def test_the_rate_is_searched_over_a_decade_or_more_around_the_default(name: str) -> None:
    method = METHODS[name].read(NEEDED.get(name, {}))
    rates = method.space["learning_rate"]
    assert isinstance(rates, Range)
    assert rates.low < method.learning_rate < rates.high
    assert rates.high / rates.low >= 10


def test_prompts_and_prefixes_take_their_tokens_from_the_context_and_nothing_else_does() -> None:
    taken = {name: METHODS[name].read(NEEDED.get(name, {})).context_tokens for name in METHODS}
    assert {name: tokens for name, tokens in taken.items() if tokens} == {
        "soft-prompt": 12,
        "p-tuning": 20,
        "prefix": 12,
    }
    assert read_method("peft", {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 7}).context_tokens == 7


def test_p_tuning_trains_more_than_it_stores(load_tiny: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    method = METHODS["p-tuning"].read({"tokens": 3, "width": 8})
    model = method.apply(load_tiny("llama"))
    method.save(model, tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert [tuple(t.shape) for t in stored.values()] == [(3, 32)]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) > 3 * 32


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
