"""A model takes a shortcut only where a probe shows that its logits stay the same."""

from collections.abc import Callable

import pytest

from tests.conftest import ARCHITECTURES
from tests.models.centered_llama import CenteredLlama
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import can_split_head

Load = Callable[[str], LanguageModel]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_head_of_every_supported_shape_can_be_split(architecture: str, load_tiny: Load) -> None:
    assert load_tiny(architecture).split_head


def test_a_model_that_does_more_than_a_head_takes_its_own_path(load_tiny: Load) -> None:
    assert not can_split_head(CenteredLlama(load_tiny("llama").network))


def test_a_head_with_a_bias_can_be_split() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "phi", vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    network = AutoModelForCausalLM.from_config(config)
    assert network.lm_head.bias is not None
    assert can_split_head(network)
