"""Where the rotary embeddings of a row begin to depend on the other rows of its batch."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tuneoff.models.rope import count_stable_positions

LONGROPE = {
    "rope_type": "longrope", "rope_theta": 10_000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
    "original_max_position_embeddings": 16,
}  # fmt: skip
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}


def make_config(architecture: str, **options: Any) -> Any:
    return AutoConfig.for_model(
        architecture, vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, pad_token_id=0, **{"max_position_embeddings": 64, **options},
    )  # fmt: skip


CHANGING = {
    "phi3": make_config("phi3", rope_parameters=LONGROPE, original_max_position_embeddings=16),
    "longrope": make_config("llama", rope_parameters=LONGROPE),
    "dynamic": make_config("llama", rope_parameters=DYNAMIC, max_position_embeddings=16),
}


def changes_a_short_row(model: Any, longest: int) -> bool:
    """Return whether a row of four tokens gets other logits beside a row of `longest`."""
    tokens_BT = torch.randint(1, 50, (2, longest), generator=torch.Generator().manual_seed(0))
    seen_BT = torch.ones_like(tokens_BT)
    seen_BT[0, :-4] = 0
    positions_BT = (seen_BT.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        together_TV = model(tokens_BT, attention_mask=seen_BT, position_ids=positions_BT).logits[0, -4:]
        alone_TV = model(tokens_BT[:1, -4:]).logits[0]
    return not torch.allclose(together_TV, alone_TV, atol=1e-9)


@pytest.mark.model
@pytest.mark.parametrize("name", CHANGING)
def test_up_to_the_count_and_no_further_a_row_is_independent_of_longer_ones(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CHANGING[name]).double().eval()
    model.get_input_embeddings().weight.data *= 50  # so that attention is not flat
    stable = count_stable_positions(CHANGING[name])
    assert stable == 16
    assert not changes_a_short_row(model, stable)
    assert changes_a_short_row(model, stable + 1)


def test_other_ropes_and_models_without_one_have_no_limit() -> None:
    yarn = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 16}
    configs = [make_config("llama"), make_config("llama", rope_parameters=yarn), AutoConfig.for_model("gpt2")]
    assert [count_stable_positions(config) for config in configs] == [None, None, None]


def test_of_several_ropes_the_shortest_counts() -> None:
    ropes = {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}, "full_attention": LONGROPE}
    config = make_config("gemma3_text", head_dim=8, rope_parameters=ropes)
    assert count_stable_positions(config) == 16
