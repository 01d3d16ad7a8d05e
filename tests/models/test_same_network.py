"""Two models are the same network if nothing but the values of their weights differs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tuneoff.models.gradient_checkpointing import set_gradient_checkpointing
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.same_network import is_same_network
from tuneoff.models.structure import untie_head


def add_hook(model: LanguageModel) -> None:
    model.blocks[1].register_forward_hook(lambda _module, _inputs, output: output)


def add_module(model: LanguageModel) -> None:
    model.blocks[0].added = nn.Linear(2, 2)


def replace_module(model: LanguageModel) -> None:
    block: Any = model.blocks[0]  # whatever class transformers has for this architecture
    block.mlp.act_fn = nn.ReLU()


def replace_function(model: LanguageModel) -> None:
    block: Any = model.blocks[0]
    block.mlp.forward = lambda hidden: hidden


def add_rows(model: LanguageModel) -> None:
    model.base.resize_token_embeddings(400, mean_resizing=False)


def change_dtype(model: LanguageModel) -> None:
    model.to(torch.bfloat16)


@pytest.mark.parametrize(
    "change", [add_hook, add_module, replace_module, replace_function, add_rows, change_dtype], ids=lambda f: f.__name__
)
def test_a_change_of_the_computation_makes_another_network(
    change: Callable[[LanguageModel], None], load_tiny: Callable[[str], LanguageModel]
) -> None:
    model = load_tiny("llama")
    change(model)
    assert not is_same_network(model, load_tiny("llama"))


def test_other_weights_and_an_untied_head_are_the_same_network(load_tiny: Callable[[str], LanguageModel]) -> None:
    model = load_tiny("qwen2")
    untie_head(model.base)
    with torch.no_grad():
        model.head.weight.add_(1)  # type: ignore[operator]  # torch types it as a tensor or a module
    assert is_same_network(model, load_tiny("qwen2"))


@pytest.mark.parametrize("kept_on", [True, False])
def test_gradient_checkpointing_in_training_leaves_the_network_the_same(
    kept_on: bool, load_tiny: Callable[[str], LanguageModel]
) -> None:
    model = load_tiny("llama")
    set_gradient_checkpointing(model.base, True)
    set_gradient_checkpointing(model.base, kept_on)
    assert is_same_network(model, load_tiny("llama"))
