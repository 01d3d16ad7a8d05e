"""The head sees only scored positions, and nothing changes by it."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.conftest import ARCHITECTURES, tiny_config
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.models.probe import can_split_head
from tuneoff.models.structure import find_attention_linears, has_tied_head, untie_head

Load = Callable[[str], LanguageModel]


@pytest.fixture
def tokens_BT() -> torch.Tensor:
    return torch.randint(2, 320, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_head_of_every_supported_shape_can_be_split(architecture: str, load_tiny: Load) -> None:
    assert load_tiny(architecture).split_head


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scored_positions_have_the_logits_of_the_full_path(
    architecture: str, load_tiny: Load, tokens_BT: torch.Tensor
) -> None:
    model = load_tiny(architecture)
    scored_BT = torch.rand(tokens_BT.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    scored_BT[:, 0] = False
    with torch.no_grad():
        narrowed = model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
        own_BTV = model.network(input_ids=tokens_BT).logits
    torch.testing.assert_close(narrowed, own_BTV[:, :-1][scored_BT[:, 1:]], rtol=1e-4, atol=1e-5)


def test_the_head_is_given_no_more_than_the_scored_positions(load_tiny: Load, tokens_BT: torch.Tensor) -> None:
    model = load_tiny("llama")
    seen: list[int] = []
    model.head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[0]))
    scored_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, -3:] = True
    model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
    assert seen == [6]


def test_soft_capping_is_still_done(load_tiny: Load, tokens_BT: torch.Tensor) -> None:
    model = load_tiny("gemma2")
    with torch.no_grad():
        model.head.weight.mul_(1000)
        logits_NV = model.logits(tokens_BT, torch.ones_like(tokens_BT), torch.arange(12).expand(2, 12) > 8)
    assert logits_NV.abs().max() <= 3.0


class CentredLlama(nn.Module):
    """A model that does more than a head after its trunk: logits that depend on all positions."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.device = torch.device("cpu")

    def get_output_embeddings(self) -> nn.Module:
        return self.network.get_output_embeddings()

    def get_input_embeddings(self) -> nn.Module:
        return self.network.get_input_embeddings()

    def forward(self, **inputs: torch.Tensor) -> object:
        output = self.network(**inputs)
        flat = output.logits.reshape(-1, output.logits.shape[-1])
        output.logits = output.logits - flat.mean(dim=0)
        return output


def test_a_model_that_does_more_than_a_head_takes_its_own_path(load_tiny: Load) -> None:
    assert not can_split_head(CentredLlama(load_tiny("llama").network))


def test_without_a_split_head_the_logits_are_the_models_own(load_tiny: Load, tokens_BT: torch.Tensor) -> None:
    centred = CentredLlama(load_tiny("llama").network)
    model = LanguageModel(centred, None, "", split_head=False)
    scored_BT = torch.arange(12).expand(2, 12) > 8
    with torch.no_grad():
        own_BTV = centred(input_ids=tokens_BT).logits
        assert torch.equal(
            model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT), own_BTV[:, :-1][scored_BT[:, 1:]]
        )


def test_a_head_with_a_bias_can_be_split() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "phi", vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    network = AutoModelForCausalLM.from_config(config)
    assert network.lm_head.bias is not None
    assert can_split_head(network)


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


def test_an_adapter_names_the_base_model_as_the_user_did(load_tiny: Load) -> None:
    from tuneoff.methods import METHODS

    model = load_tiny("llama")
    model.known_as = "owner/name"
    tuned = METHODS["lora"]().apply(model)
    assert tuned.network.active_peft_config.base_model_name_or_path == "owner/name"


def test_the_tiny_shapes_are_what_they_are_called() -> None:
    assert {tiny_config(name).model_type for name in ARCHITECTURES} == set(ARCHITECTURES)


def test_a_model_held_for_training_keeps_nothing_of_its_mapped_checkpoint(
    load_tiny: Callable[[str], LanguageModel],
) -> None:
    model = load_tiny("llama")
    mapped = {p.data_ptr() for p in model.parameters()}
    held = {p.data_ptr() for p in hold_for_training(model, torch.bfloat16).parameters()}
    assert not held & mapped
