"""Operations for a token, against a count by hand."""

from collections.abc import Callable

import torch

from tests.conftest import tiny_config
from tuneoff.evaluation.flops import count_token_flops
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]
PROMPT_BT = torch.arange(2, 14)[None]


def count(model: LanguageModel) -> int:
    return count_token_flops(model.eval(), PROMPT_BT, torch.ones_like(PROMPT_BT))


def test_the_operations_for_a_token_are_those_of_its_matrix_products(load_tiny: Load) -> None:
    config = tiny_config("gpt2")
    width, layers = config.n_embd, config.n_layer
    weights = layers * (4 * width**2 + 8 * width**2) + width * config.vocab_size  # attention, MLP, head
    attention = layers * 2 * width * (PROMPT_BT.shape[1] + 1)  # queries times keys, weights times values
    assert count(load_tiny("gpt2")) == 2 * (weights + attention)


def test_fused_attention_counts_as_much_as_plain_matrix_products(load_tiny: Load) -> None:
    fused, plain = load_tiny("gpt2"), load_tiny("gpt2")
    fused.base.set_attn_implementation("sdpa")
    plain.base.set_attn_implementation("eager")
    assert count(fused) == count(plain)
