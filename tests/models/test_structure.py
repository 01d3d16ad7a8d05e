"""The parts of a network, found in every architecture."""

from collections.abc import Callable

import pytest
import torch

from tests.conftest import ARCHITECTURES
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.structure import find_attention_linears, find_linears, find_norms, has_tied_head, untie_head

Load = Callable[[str], LanguageModel]


def test_untying_leaves_the_input_embedding_alone(load_tiny: Load) -> None:
    model = load_tiny("qwen2")
    assert has_tied_head(model.base)
    untie_head(model.base)
    with torch.no_grad():
        model.head.weight.add_(1.0)
    assert torch.equal(model.base.get_input_embeddings().weight, load_tiny("qwen2").base.get_input_embeddings().weight)


def test_the_attention_of_gpt2_has_its_conv1d_layers(load_tiny: Load) -> None:
    names = {name.rpartition(".")[2] for name in find_attention_linears(load_tiny("gpt2").base)}
    assert names == {"c_attn", "c_proj"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_linear_layers_are_those_of_the_blocks_and_not_the_head(architecture: str, load_tiny: Load) -> None:
    base = load_tiny(architecture).base
    linears = find_linears(base).values()
    assert len(linears) >= 2 * 4
    assert base.get_output_embeddings() not in linears


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_norms_are_those_of_the_blocks_and_the_last_one(architecture: str, load_tiny: Load) -> None:
    model = load_tiny(architecture)
    inside = {
        name for block in model.blocks for name, module in block.named_modules() if "Norm" in type(module).__name__
    }
    assert len(find_norms(model.base)) == len(model.blocks) * len(inside) + 1
