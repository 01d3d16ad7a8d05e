"""Parameters are counted once per tensor, as a count by hand gives."""

from collections.abc import Callable

import pytest

from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.parameters import count_parameters, group_trainable
from tuneoff.models.structure import untie_head

Load = Callable[[str], LanguageModel]
EMBEDDING = 320 * 32  # the tiny shapes' vocabulary by their width


def test_a_shared_tensor_counts_once(load_tiny: Load) -> None:
    tied, untied = load_tiny("qwen2"), load_tiny("qwen2")
    untie_head(untied.base)
    assert count_parameters(untied)[1] - count_parameters(tied)[1] == EMBEDDING


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        (METHODS["base"].read({}), 0),
        (METHODS["last-layer"].read({}), EMBEDDING),
        (METHODS["last-layer"].read({"tied": True}), EMBEDDING),
        # two layers of q (32 to 32) and v (32 to 16), each with a rank-4 pair
        (METHODS["lora"].read({"rank": 4, "modules": ["q_proj", "v_proj"]}), 2 * 4 * ((32 + 32) + (32 + 16))),
        (METHODS["soft-prompt"].read({"tokens": 7}), 7 * 32),
    ],
    ids=["base", "last-layer", "last-layer-tied", "lora", "soft-prompt"],
)
def test_a_methods_count_equals_a_count_by_hand(method: object, trained: int, load_tiny: Load) -> None:
    assert count_parameters(method.apply(load_tiny("qwen2")))[0] == trained  # type: ignore[attr-defined]


def test_full_tuning_trains_everything(load_tiny: Load) -> None:
    trainable, total = count_parameters(METHODS["full"].read({}).apply(load_tiny("gpt_neo")))
    assert trainable == total


def test_layers_are_grouped_under_a_star(load_tiny: Load) -> None:
    groups = group_trainable(METHODS["lora"].read({"rank": 4, "modules": ["q_proj"]}).apply(load_tiny("llama")))
    assert [(g.name, g.tensors, g.parameters) for g in groups] == [
        ("model.layers.*.self_attn.q_proj.lora_A.weight", 2, 2 * 4 * 32),
        ("model.layers.*.self_attn.q_proj.lora_B.weight", 2, 2 * 4 * 32),
    ]
