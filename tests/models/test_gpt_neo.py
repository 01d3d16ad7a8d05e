"""GPT-Neo with fused attention computes the same as with eager attention."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.conftest import tiny_config
from tuneoff.models.gpt_neo import GPTNeoSdpaAttention
from tuneoff.models.language_model import LanguageModel


@pytest.fixture
def tokens_BT() -> Tensor:
    """Longer than the local layer's window of 8."""
    return torch.randint(2, 320, (3, 21), generator=torch.Generator().manual_seed(1))


def load_both(network_folder: Path) -> tuple[torch.nn.Module, torch.nn.Module]:
    ours, eager = (
        AutoModelForCausalLM.from_pretrained(network_folder, attn_implementation=name) for name in ("sdpa", "eager")
    )
    return ours, eager


def test_a_loaded_model_uses_fused_attention(load_tiny: Callable[[str], LanguageModel]) -> None:
    kinds = {type(block.attn.attention) for block in load_tiny("gpt_neo").blocks}
    assert kinds == {GPTNeoSdpaAttention}


@pytest.mark.parametrize("padding", ["none", "left", "right"])
def test_logits_and_gradients_are_those_of_eager_attention_to_rounding(
    padding: str, model_folder: Callable[[str], Path], tokens_BT: Tensor
) -> None:
    attention_BT = torch.ones_like(tokens_BT)
    if padding != "none":
        attention_BT[0, slice(0, 9) if padding == "left" else slice(12, None)] = 0
    results = []
    for network in load_both(model_folder("gpt_neo")):
        logits_BTV = network(input_ids=tokens_BT, attention_mask=attention_BT, use_cache=False).logits
        logits_BTV[attention_BT.bool()].square().sum().backward()
        results.append((logits_BTV[attention_BT.bool()], [p.grad for p in network.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)


def test_it_generates_what_eager_attention_generates(model_folder: Callable[[str], Path], tokens_BT: Tensor) -> None:
    options = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False, "pad_token_id": 1}
    attention_BT = torch.ones_like(tokens_BT)
    attention_BT[0, :9] = 0
    ours, eager = (
        network.generate(tokens_BT, attention_mask=attention_BT, **options)
        for network in load_both(model_folder("gpt_neo"))
    )
    assert torch.equal(ours, eager)


def test_dropout_is_active_in_training_only() -> None:
    config = tiny_config("gpt_neo")
    config.attention_dropout, config._attn_implementation = 0.5, "sdpa"
    attention = GPTNeoSdpaAttention(config, "global", 0)
    hidden = torch.randn(1, 6, 32)
    assert not torch.equal(attention.train()(hidden)[0], attention(hidden)[0])
    assert torch.equal(attention.eval()(hidden)[0], attention(hidden)[0])
